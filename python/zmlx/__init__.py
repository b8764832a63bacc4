"""ZMLX from Python: open a model, run it, look at its fusions.

    import zmlx

    model = zmlx.Model("folder or file.gguf")
    tokenizer = zmlx.Tokenizer("folder or file.gguf")
    with model.session(threads=2) as session:
        result = session.generate(tokenizer.encode("Hello"), tokenizer, max_tokens=20)
        print(result.text)

A thin layer over libzmlx by ctypes, without other packages.  Failures of the library are
exceptions below zmlx.Error with its message.  What Python holds keeps alive what it rests on.
"""

import json
from array import array
from collections import namedtuple
from ctypes import byref, c_void_p, string_at

from ._native import (  # noqa: F401  the exceptions are part of the interface
    DTYPES,
    FINISHES,
    PRECISIONS,
    QUANTIZATIONS,
    VERDICTS,
    ArgumentError,
    ConvertOptions,
    ConvertReport,
    DeviceError,
    DiscoverOptions,
    Error,
    FormatError,
    FusionSite,
    GenerateOptions,
    GenerateResult,
    GraphOptions,
    Handle,
    Ids,
    InputOutputError,
    KernelInfo,
    LogitsFunction,
    Memory,
    ModelInfo,
    ModelOptions,
    ModuleRule,
    OutOfMemoryError,
    Perplexity,
    PromptFunction,
    SessionOptions,
    ShapeError,
    TemplateOptions,
    TokenFunction,
    UnsupportedError,
    choice,
    id_array,
    names,
    native,
    take_string,
)

__version__ = native.version().decode()

Generation = namedtuple(
    "Generation",
    "tokens text finish prompt_tokens cached_tokens prefill_seconds decode_seconds",
)
Site = namedtuple(
    "Site", "rule pattern where verdict reason bytes_saved least_tokens most_tokens"
)
Kernel = namedtuple("Kernel", "name op backend usable_here")
Estimate = namedtuple("Estimate", "weights kv activations available")
Conversion = namedtuple(
    "Conversion", "tensors quantized kept parameters bytes shards reused interrupted"
)
PerplexityResult = namedtuple("PerplexityResult", "tokens predicted nll perplexity")


def inspect(path):
    """What a model folder, .gguf or .safetensors file holds, judged from headers, as a dict."""
    return json.loads(take_string(lambda out: native.inspect(_path(path), out)))


def kernels():
    """Every kernel of this build."""
    info = KernelInfo()
    rows = []
    for index in range(native.kernel_count()):
        native.kernel_describe(index, byref(info))
        texts = (info.name.decode(), info.op.decode(), info.backend.decode())
        rows.append(Kernel(*texts, bool(info.usable_here)))
    return rows


def convert(
    source,
    target,
    mode=None,
    bits=0,
    group=0,
    recipe=None,
    rules=None,
    dequantize=False,
    dtype=None,
    mlx_cpu_decode=False,
    threads=0,
    shard_bytes=0,
):
    """Writes the model 'source' as the MLX folder 'target', which must not exist or be empty.

    'mode' (affine, mxfp4, mxfp8, nvfp4) quantizes; 'rules' maps patterns of module names to
    {"bits", "group_size", "mode"}, or to False for modules that stay as they are.
    """
    made = []
    for pattern, rule in (rules or {}).items():
        said = {"mode": "none"} if rule is False else {"mode": "affine", **rule}
        number = choice(QUANTIZATIONS, said["mode"], "mode")
        made.append(
            ModuleRule(_path(pattern), number, said.get("bits", 0), said.get("group_size", 0))
        )
    options = ConvertOptions(
        mode=choice(QUANTIZATIONS, mode, "mode"),
        bits=bits,
        group=group,
        recipe=recipe.encode() if recipe else None,
        rules=(ModuleRule * len(made))(*made),
        rule_count=len(made),
        dequantize=dequantize,
        dtype=choice(DTYPES, dtype, "dtype"),
        mlx_cpu_decode=mlx_cpu_decode,
        threads=threads,
        shard_bytes=shard_bytes,
    )
    report = ConvertReport()
    native.convert(_path(source), _path(target), byref(options), byref(report))
    return Conversion(*(getattr(report, name) for name in Conversion._fields))


def _path(path):
    return path.encode() if isinstance(path, str) else bytes(path)


class Model(Handle):
    """A checkpoint: an MLX or Hugging Face folder, or a .gguf file.

    dtype: of activations, "f32", "f16" or "bf16"; mlx_cpu_decode: decode affine weights as MLX's
    CPU build does.  Everything that zmlx_model_info holds is an attribute.
    """

    def __init__(self, path, dtype=None, mlx_cpu_decode=False):
        pointer = c_void_p()
        options = ModelOptions(choice(DTYPES, dtype, "dtype"), mlx_cpu_decode)
        native.model_open(_path(path), byref(options), byref(pointer))
        super().__init__(pointer, native.model_close)
        info = ModelInfo()
        native.model_describe(pointer, byref(info))
        self.path, self.architecture = info.path.decode(), info.architecture.decode()
        self.dtype = DTYPES[info.dtype]
        self.layers, self.hidden_size = info.layers, info.hidden_size
        self.vocabulary, self.context_length = info.vocabulary, info.context_length
        self.parameters, self.weight_bytes = info.parameters, info.weight_bytes
        self.bytes_per_token = info.bytes_per_token

    def session(self, **options):
        """See Session."""
        return Session(self, **options)

    def estimate(self, **options):
        """What a session of these options will need, in bytes."""
        memory = Memory()
        native.session_estimate(self.pointer, byref(_session_options(**options)), byref(memory))
        return Estimate(memory.weights, memory.kv, memory.activations, memory.available)

    def graph(self, fuse=True, dot=False, precision=None):
        """The model's graph as text, or as a Graphviz drawing."""
        options = GraphOptions(not fuse, dot, choice(PRECISIONS, precision, "precision"))
        return take_string(
            lambda out: native.model_print_graph(self.pointer, byref(options), out)
        ).decode()

    def discover(
        self,
        precision=None,
        threads=0,
        include=None,
        exclude=None,
        seed=0,
        apply=False,
        keep=False,
    ):
        """Tries every match of every fusion rule on this model; a list of Site.

        include, exclude: names of rules.  apply: measure rules and chains, apply each to the
        steps it makes faster; keep: remember what was refused or measured.  See docs/discover.md.
        """
        options = DiscoverOptions(
            choice(PRECISIONS, precision, "precision"),
            threads,
            names(include),
            names(exclude),
            seed,
            apply,
            keep,
        )
        discovery, site = c_void_p(), FusionSite()
        native.discover(self.pointer, byref(options), byref(discovery))
        try:
            sites = []
            for index in range(native.discovery_count(discovery)):
                native.discovery_site(discovery, index, byref(site))
                texts = [text.decode() for text in (site.rule, site.pattern, site.where)]
                verdict, reason = VERDICTS[site.verdict], site.reason.decode()
                tokens = site.least_tokens, site.most_tokens
                sites.append(Site(*texts, verdict, reason, site.bytes_saved, *tokens))
            return sites
        finally:
            native.discovery_close(discovery)

    def forget(self, precision=None):
        """Forgets what discover(keep=True) remembered."""
        native.discover_forget(self.pointer, choice(PRECISIONS, precision, "precision"))

    def fuse(self, include=None, exclude=None):
        """Sessions created from now on apply these rules; include None: every exact one."""
        native.fuse(self.pointer, names(include), names(exclude))

    def unfuse(self):
        """Sessions created from now on run the graph as it was traced."""
        native.unfuse(self.pointer)


def _session_options(
    device=None, threads=0, precision=None, kv=None, fuse=True, context=0, chunk=0
):
    return SessionOptions(
        device.encode() if device else None,
        threads,
        choice(PRECISIONS, precision, "precision"),
        choice(DTYPES, kv, "kv"),
        not fuse,
        context,
        chunk,
    )


class Session(Handle):
    """A model that runs; one thread uses it at a time.

    device "cpu"; threads 0: one per core; precision "f32", "q16", "q8": how quantized matrices are
    multiplied; kv: dtype of the cache; fuse False: the graph as traced; context: most tokens at
    once; chunk: most tokens in one step.
    """

    def __init__(self, model, **options):
        pointer = c_void_p()
        native.session_create(model.pointer, byref(_session_options(**options)), byref(pointer))
        super().__init__(pointer, native.session_destroy)
        self.model = model

    def logits(self, ids, chunk=0):
        """The logits after every token of a fresh sequence: a memoryview of f32, [tokens,
        vocabulary], which numpy.asarray takes as it is."""
        values, failure = array("f"), []

        def on_logits(_first, rows, logits, _user):
            try:
                values.frombytes(string_at(logits, rows * self.model.vocabulary * 4))
                return 0
            except BaseException as error:  # it must not pass through C
                failure.append(error)
                return 1

        items, count = id_array(ids)
        callback = LogitsFunction(on_logits)
        try:
            native.session_logits(self.pointer, items, count, chunk, callback, None)
        except Error:
            if not failure:
                raise
        if failure:
            raise failure[0]
        shape = [len(values) // self.model.vocabulary, self.model.vocabulary]
        return memoryview(values).cast("B").cast("f", shape) if values else memoryview(values)

    def generate(
        self,
        ids,
        tokenizer=None,
        max_tokens=128,
        temperature=0.0,
        top_k=0,
        top_p=0.0,
        min_p=0.0,
        seed=0,
        stop=None,
        ignore_eos=False,
        on_token=None,
    ):
        """Generates after the ids of a prompt; a Generation.

        Without a tokenizer there is no text and no stop.  on_token(id, text) is called for every
        token with the text that became certain, and may return False to end.
        """
        tokens, pieces, failure = [], [], []

        def heard(token, text, length, _user):
            try:
                piece = string_at(text, length) if length else b""
                pieces.append(piece)
                if token >= 0:
                    tokens.append(token)
                    if on_token and on_token(token, piece.decode("utf-8", "replace")) is False:
                        return False
                elif piece and on_token:
                    on_token(None, piece.decode("utf-8", "replace"))
                return True
            except BaseException as error:  # it must not pass through C
                failure.append(error)
                return False

        items, count = id_array(ids)
        options = GenerateOptions(
            max_tokens,
            temperature,
            top_k,
            top_p,
            min_p,
            seed,
            names(stop),
            ignore_eos,
            TokenFunction(heard),
            PromptFunction(),
        )
        result = GenerateResult()
        speaker = tokenizer.pointer if tokenizer else None
        native.session_generate(self.pointer, speaker, items, count, byref(options), byref(result))
        if failure:
            raise failure[0]
        return Generation(
            tokens,
            b"".join(pieces).decode("utf-8", "replace"),
            FINISHES[result.finish],
            result.prompt_tokens,
            result.cached_tokens,
            result.prefill_seconds,
            result.decode_seconds,
        )

    def perplexity(self, ids, window=1024):
        """Over windows of so many tokens, each from an empty cache."""
        items, count = id_array(ids)
        result = Perplexity()
        native.session_perplexity(self.pointer, items, count, window, byref(result))
        return PerplexityResult(result.tokens, result.predicted, result.nll, result.perplexity)


class Tokenizer(Handle):
    """Text to ids and back, and the chat template, of a model folder or .gguf file."""

    def __init__(self, path):
        pointer = c_void_p()
        native.tokenizer_open(_path(path), byref(pointer))
        super().__init__(pointer, native.tokenizer_close)

    def __len__(self):
        """One more than the largest id."""
        return native.tokenizer_size(self.pointer)

    def encode(self, text, special=True):
        """The ids of a text; special: with BOS, EOS and the like where the tokenizer says so."""
        data, ids = text.encode("utf-8"), Ids()
        try:
            native.tokenizer_encode(self.pointer, data, len(data), special, byref(ids))
            return ids.items[: ids.count]
        finally:
            native.ids_free(byref(ids))

    def decode(self, ids, skip_special=False):
        """The text of ids; bytes that are no UTF-8 become U+FFFD."""
        items, count = id_array(ids)
        return take_string(
            lambda out: native.tokenizer_decode(self.pointer, items, count, skip_special, out)
        ).decode("utf-8")

    @property
    def has_template(self):
        return native.tokenizer_has_template(self.pointer)

    def render(self, messages, generation_prompt=True, **variables):
        """The chat template's prompt for messages; further variables reach the template."""
        data = json.dumps({**variables, "messages": messages}).encode()
        options = TemplateOptions(not generation_prompt, None)
        return take_string(
            lambda out: native.tokenizer_render(self.pointer, data, len(data), byref(options), out)
        ).decode("utf-8")
