"""The shared library: where it is found, its structs and functions, and errors as exceptions.

Every struct here repeats one of include/zmlx/; the binding's tests compare sizes and offsets with
what the C compiler makes of the headers.
"""

import ctypes
import os
import sys
from ctypes import (
    CFUNCTYPE,
    POINTER,
    Structure,
    byref,
    c_bool,
    c_char_p,
    c_double,
    c_float,
    c_int,
    c_int32,
    c_int64,
    c_size_t,
    c_uint64,
    c_void_p,
)

DTYPES = ("default", "f32", "f16", "bf16")
PRECISIONS = ("default", "f32", "q16", "q8")
FINISHES = ("stop", "length", "cancelled")
VERDICTS = ("applied", "refused", "off")
QUANTIZATIONS = ("none", "affine", "mxfp4", "mxfp8", "nvfp4")


class Error(Exception):
    """What a call into the library failed with; the text is the library's own message."""


class ArgumentError(Error, ValueError):
    """The caller passed something impossible."""


class ShapeError(Error, ValueError):
    """Tensor shapes do not fit together."""


class OutOfMemoryError(Error, MemoryError):
    """Host or device memory ran out, or would have."""


class InputOutputError(Error, OSError):
    """A file failed."""


class FormatError(Error, ValueError):
    """A file's content is not what it claims to be."""


class UnsupportedError(Error, NotImplementedError):
    """No kernel, backend or model family fits."""


class DeviceError(Error):
    """The driver reported a fault."""


ERRORS = (
    None,
    ArgumentError,
    ShapeError,
    OutOfMemoryError,
    InputOutputError,
    FormatError,
    UnsupportedError,
    DeviceError,
)


class String(Structure):
    _fields_ = [("bytes", c_void_p), ("length", c_size_t)]


class Ids(Structure):
    _fields_ = [("items", POINTER(c_int32)), ("count", c_size_t)]


class ModelOptions(Structure):
    _fields_ = [("dtype", c_int), ("mlx_cpu_decode", c_bool)]


class ModelInfo(Structure):
    _fields_ = [
        ("path", c_char_p),
        ("architecture", c_char_p),
        ("dtype", c_int),
        ("layers", c_size_t),
        ("hidden_size", c_size_t),
        ("vocabulary", c_size_t),
        ("context_length", c_size_t),
        ("parameters", c_size_t),
        ("weight_bytes", c_size_t),
        ("bytes_per_token", c_size_t),
    ]


class GraphOptions(Structure):
    _fields_ = [("no_fuse", c_bool), ("dot", c_bool), ("precision", c_int)]


class SessionOptions(Structure):
    _fields_ = [
        ("device", c_char_p),
        ("threads", c_size_t),
        ("precision", c_int),
        ("kv", c_int),
        ("no_fuse", c_bool),
        ("context", c_size_t),
        ("chunk", c_size_t),
    ]


class Memory(Structure):
    _fields_ = [
        ("weights", c_size_t),
        ("kv", c_size_t),
        ("activations", c_size_t),
        ("available", c_size_t),
    ]


TokenFunction = CFUNCTYPE(c_bool, c_int32, c_void_p, c_size_t, c_void_p)
PromptFunction = CFUNCTYPE(c_bool, c_size_t, c_size_t, c_void_p)
LogitsFunction = CFUNCTYPE(c_int, c_size_t, c_size_t, c_void_p, c_void_p)


class GenerateOptions(Structure):
    _fields_ = [
        ("max_tokens", c_size_t),
        ("temperature", c_float),
        ("top_k", c_size_t),
        ("top_p", c_float),
        ("min_p", c_float),
        ("seed", c_uint64),
        ("stop", POINTER(c_char_p)),
        ("ignore_eos", c_bool),
        ("on_token", TokenFunction),
        ("on_prompt", PromptFunction),
        ("user", c_void_p),
    ]


class GenerateResult(Structure):
    _fields_ = [
        ("prompt_tokens", c_size_t),
        ("generated_tokens", c_size_t),
        ("cached_tokens", c_size_t),
        ("prefill_seconds", c_double),
        ("decode_seconds", c_double),
        ("finish", c_int),
    ]


class Perplexity(Structure):
    _fields_ = [
        ("tokens", c_size_t),
        ("predicted", c_size_t),
        ("nll", c_double),
        ("perplexity", c_double),
    ]


class TemplateOptions(Structure):
    _fields_ = [("no_generation_prompt", c_bool), ("kwargs", c_char_p)]


class KernelInfo(Structure):
    _fields_ = [
        ("name", c_char_p),
        ("op", c_char_p),
        ("backend", c_char_p),
        ("usable_here", c_bool),
    ]


class DiscoverOptions(Structure):
    _fields_ = [
        ("precision", c_int),
        ("threads", c_size_t),
        ("include", POINTER(c_char_p)),
        ("exclude", POINTER(c_char_p)),
        ("seed", c_uint64),
        ("apply", c_bool),
        ("keep", c_bool),
    ]


class FusionSite(Structure):
    _fields_ = [
        ("rule", c_char_p),
        ("pattern", c_char_p),
        ("where", c_char_p),
        ("verdict", c_int),
        ("reason", c_char_p),
        ("bytes_saved", c_int64),
        ("least_tokens", c_size_t),
        ("most_tokens", c_size_t),
    ]


GoOnFunction = CFUNCTYPE(c_bool, c_void_p)


class ModuleRule(Structure):
    _fields_ = [
        ("pattern", c_char_p),
        ("mode", c_int),
        ("bits", c_size_t),
        ("group", c_size_t),
    ]


class ConvertOptions(Structure):
    _fields_ = [
        ("mode", c_int),
        ("bits", c_size_t),
        ("group", c_size_t),
        ("recipe", c_char_p),
        ("rules", POINTER(ModuleRule)),
        ("rule_count", c_size_t),
        ("dequantize", c_bool),
        ("dtype", c_int),
        ("mlx_cpu_decode", c_bool),
        ("threads", c_size_t),
        ("shard_bytes", c_size_t),
        ("keep_going", GoOnFunction),
        ("user", c_void_p),
    ]


class ConvertReport(Structure):
    _fields_ = [
        ("tensors", c_size_t),
        ("quantized", c_size_t),
        ("kept", c_size_t),
        ("parameters", c_size_t),
        ("bytes", c_size_t),
        ("shards", c_size_t),
        ("reused", c_size_t),
        ("interrupted", c_bool),
    ]


# The struct of each of these in C is its name here in lower case, with 'zmlx_' in front.
STRUCTS = {
    "string": String,
    "ids": Ids,
    "model_options": ModelOptions,
    "model_info": ModelInfo,
    "graph_options": GraphOptions,
    "session_options": SessionOptions,
    "memory": Memory,
    "generate_options": GenerateOptions,
    "generate_result": GenerateResult,
    "perplexity": Perplexity,
    "template_options": TemplateOptions,
    "kernel_info": KernelInfo,
    "discover_options": DiscoverOptions,
    "fusion_site": FusionSite,
    "module_rule": ModuleRule,
    "convert_options": ConvertOptions,
    "convert_report": ConvertReport,
}

# What a function takes; one of CHECKED returns a status, the others what stands first.
HANDLE = c_void_p
CHECKED = {
    "model_open": [c_char_p, POINTER(ModelOptions), POINTER(HANDLE)],
    "model_print_graph": [HANDLE, POINTER(GraphOptions), POINTER(String)],
    "inspect": [c_char_p, POINTER(String)],
    "convert": [c_char_p, c_char_p, POINTER(ConvertOptions), POINTER(ConvertReport)],
    "session_estimate": [HANDLE, POINTER(SessionOptions), POINTER(Memory)],
    "session_create": [HANDLE, POINTER(SessionOptions), POINTER(HANDLE)],
    "session_generate": [
        HANDLE,
        HANDLE,
        POINTER(c_int32),
        c_size_t,
        POINTER(GenerateOptions),
        POINTER(GenerateResult),
    ],
    "session_logits": [HANDLE, POINTER(c_int32), c_size_t, c_size_t, LogitsFunction, c_void_p],
    "session_perplexity": [HANDLE, POINTER(c_int32), c_size_t, c_size_t, POINTER(Perplexity)],
    "tokenizer_open": [c_char_p, POINTER(HANDLE)],
    "tokenizer_encode": [HANDLE, c_char_p, c_size_t, c_bool, POINTER(Ids)],
    "tokenizer_decode": [HANDLE, POINTER(c_int32), c_size_t, c_bool, POINTER(String)],
    "tokenizer_render": [HANDLE, c_char_p, c_size_t, POINTER(TemplateOptions), POINTER(String)],
    "kernel_describe": [c_size_t, POINTER(KernelInfo)],
    "discover": [HANDLE, POINTER(DiscoverOptions), POINTER(HANDLE)],
    "discovery_site": [HANDLE, c_size_t, POINTER(FusionSite)],
    "discover_forget": [HANDLE, c_int],
    "fuse": [HANDLE, POINTER(c_char_p), POINTER(c_char_p)],
}
PLAIN = {
    "version": (c_char_p, []),
    "error_message": (c_char_p, []),
    "string_free": (None, [POINTER(String)]),
    "ids_free": (None, [POINTER(Ids)]),
    "model_close": (None, [HANDLE]),
    "model_describe": (None, [HANDLE, POINTER(ModelInfo)]),
    "session_destroy": (None, [HANDLE]),
    "tokenizer_close": (None, [HANDLE]),
    "tokenizer_size": (c_size_t, [HANDLE]),
    "tokenizer_has_template": (c_bool, [HANDLE]),
    "kernel_count": (c_size_t, []),
    "discovery_count": (c_size_t, [HANDLE]),
    "discovery_close": (None, [HANDLE]),
    "unfuse": (None, [HANDLE]),
}


def candidates():
    """Where the library may be, the first choice first."""
    name = "libzmlx.dylib" if sys.platform == "darwin" else "libzmlx.so"
    chosen = os.environ.get("ZMLX_LIBRARY")
    if chosen:
        return [os.path.abspath(chosen)]
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    built = os.path.join(root, "build", name)
    return ([built] if os.path.exists(built) else []) + [name]


def load():
    tried = []
    for path in candidates():
        try:
            return ctypes.CDLL(path)
        except OSError as error:
            tried.append(f"{path}: {error}")
    raise ImportError(
        "libzmlx was not found; build it with 'make shared', install it, or set ZMLX_LIBRARY ("
        + "; ".join(tried)
        + ")"
    )


_library = load()


class _Functions:
    """The library's functions without their prefix; those of CHECKED raise."""


native = _Functions()
for _name, (_result, _arguments) in PLAIN.items():
    _function = getattr(_library, "zmlx_" + _name)
    _function.restype, _function.argtypes = _result, _arguments
    setattr(native, _name, _function)


def check(status, _function=None, _arguments=None):
    """Raises what a status means, with the message of this thread's last failure."""
    if status == 0:
        return status
    message = native.error_message().decode("utf-8", "replace")
    raise (ERRORS[status] if 0 < status < len(ERRORS) else Error)(message)


for _name, _arguments in CHECKED.items():
    _function = getattr(_library, "zmlx_" + _name)
    _function.restype, _function.argtypes, _function.errcheck = c_int, _arguments, check
    setattr(native, _name, _function)


def choice(names, value, what):
    """The number of a name; None is the default."""
    if value is None:
        return 0
    if value not in names:
        raise ValueError(f"{what} is {value!r}; expected one of {', '.join(names)}")
    return names.index(value)


def names(values):
    """A list of texts as C has it, NULL at the end; None is NULL."""
    if values is None:
        return None
    encoded = [value.encode() for value in values]
    return (c_char_p * (len(encoded) + 1))(*encoded, None)


def id_array(ids):
    ids = list(ids)
    return (c_int32 * max(len(ids), 1))(*ids), len(ids)


def take_string(fill):
    """The text that a call fills in, as bytes."""
    string = String()
    try:
        fill(byref(string))
        return ctypes.string_at(string.bytes, string.length) if string.bytes else b""
    finally:
        native.string_free(byref(string))


class Handle:
    """Owns something that the library made; 'with' or close() gives it back."""

    _pointer = None  # where opening failed

    def __init__(self, pointer, free):
        self._pointer, self._free = pointer, free

    @property
    def pointer(self):
        if not self._pointer:
            raise ValueError(f"this {type(self).__name__} was closed")
        return self._pointer

    def close(self):
        """Gives it back; doing it again does nothing."""
        pointer, self._pointer = self._pointer, None
        if pointer:
            self._free(pointer)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __del__(self):
        self.close()
