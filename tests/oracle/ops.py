"""Calls into oracle_api.c, and numbers as both sides have them.

A value of dtype T travels as a numpy array: float32, float16, or for bf16 its bits as uint16.
"""

import ctypes
import os
from ctypes import POINTER, Structure, c_bool, c_char_p, c_float, c_int, c_int32
from ctypes import c_size_t, c_uint32, c_void_p

import mlx.core as mx
import numpy as np

from zmlx import _native

MX = {"f32": mx.float32, "f16": mx.float16, "bf16": mx.bfloat16, "i32": mx.int32}
NUMPY = {"f32": np.float32, "f16": np.float16, "bf16": np.uint16, "i32": np.int32}
# Half the distance from 1 to the next value: the relative error of one rounding.
UNIT = {"f32": 2.0**-24, "f16": 2.0**-11, "bf16": 2.0**-8}
# The smallest normal value and the distance between values below it.
TINY = {"f32": 2.0**-126, "f16": 2.0**-14, "bf16": 2.0**-126}
STEP = {"f32": 2.0**-149, "f16": 2.0**-24, "bf16": 2.0**-133}


class Operand(Structure):
    _fields_ = [
        ("dtype", c_char_p),
        ("format", c_char_p),
        ("count", c_size_t),
        ("rows", c_size_t),
        ("columns", c_size_t),
        ("bits", c_uint32),
        ("group", c_uint32),
        ("mlx_cpu_decode", c_bool),
        ("data", c_void_p),
        ("scales", c_void_p),
        ("biases", c_void_p),
        ("bias", c_void_p),
    ]


class Step(Structure):
    _fields_ = [
        ("sequences", c_size_t),
        ("first", POINTER(c_int32)),
        ("counts", POINTER(c_int32)),
        ("kv", c_char_p),
        ("kv_heads", c_size_t),
        ("key_size", c_size_t),
        ("value_size", c_size_t),
        ("keys", POINTER(Operand)),
        ("values", POINTER(Operand)),
    ]


class Attributes(Structure):
    _fields_ = [
        ("epsilon", c_float),
        ("offset", c_float),
        ("scale", c_float),
        ("limit", c_float),
        ("alpha", c_float),
        ("wide", c_bool),
        ("head_size", c_uint32),
        ("value_size", c_uint32),
        ("window", c_uint32),
        ("top_k", c_uint32),
        ("groups", c_uint32),
        ("top_groups", c_uint32),
        ("activation", c_char_p),
        ("rope", c_char_p),
        ("rope_length", c_size_t),
    ]


class Call(Structure):
    _fields_ = [
        ("op", c_char_p),
        ("kernel", c_char_p),
        ("precision", c_char_p),
        ("threads", c_size_t),
        ("input_count", c_size_t),
        ("output_count", c_size_t),
        ("inputs", POINTER(Operand)),
        ("outputs", POINTER(Operand)),
        ("attributes", POINTER(Attributes)),
        ("step", POINTER(Step)),
    ]


_library = ctypes.CDLL(os.path.abspath(os.environ["ZX_ORACLE"]))
_library.zmlx_error_message.restype = c_char_p


def _raise(status, _function, _arguments):
    if status:
        raise _native.ERRORS[status](_library.zmlx_error_message().decode())


def _function(name, *arguments):
    function = getattr(_library, "zx_oracle_" + name)
    function.restype, function.argtypes, function.errcheck = c_int, arguments, _raise
    return function


_encode = _function("encode", POINTER(Operand), c_void_p)
_decode = _function("decode", POINTER(Operand), c_void_p)
_run = _function("run", POINTER(Call))
_sample = _function(
    "sample", POINTER(_native.GenerateOptions), c_void_p, c_size_t, c_void_p, POINTER(c_int32)
)

# --- numbers ---


def to_mx(values, dtype):
    """An array of the binding's as MLX's."""
    array = mx.array(np.ascontiguousarray(values))
    return array.view(mx.bfloat16) if dtype == "bf16" else array


def from_mx(array):
    """MLX's array as the binding's."""
    mx.eval(array)
    return np.array(array.view(mx.uint16) if array.dtype == mx.bfloat16 else array)


def widen(values, dtype):
    """As float64, exactly."""
    if dtype == "bf16":
        return (values.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    return values.astype(np.float64)


def narrow(values, dtype):
    """float32 values rounded to nearest even into T."""
    return from_mx(mx.array(np.ascontiguousarray(values, np.float32)).astype(MX[dtype]))


def ulp(values, dtype):
    """The distance of values of T from one another around these (float64) ones."""
    exponent = np.floor(np.log2(np.maximum(np.abs(values), TINY[dtype])))
    return np.maximum(2.0**exponent * 2 * UNIT[dtype], STEP[dtype])


def bits(values):
    return values.view({2: np.uint16, 4: np.uint32}[values.dtype.itemsize])


# --- weights ---


class Weight:
    """'count' matrices in a format, as MLX stores them; arrays are numpy's."""

    def __init__(self, form, dtype, shape, width=0, group=1, **parts):
        self.form, self.dtype, self.width, self.group = form, dtype, width, group
        self.count, self.rows, self.columns = (1, *shape) if len(shape) == 2 else shape
        self.mlx_cpu_decode = parts.pop("mlx_cpu_decode", False)
        self.parts = {name: np.ascontiguousarray(part) for name, part in parts.items()}

    def operand(self):
        def pointer(name):
            return self.parts[name].ctypes.data if name in self.parts else None

        return Operand(
            self.dtype.encode(),
            self.form.encode(),
            self.count,
            self.rows,
            self.columns,
            self.width,
            self.group,
            self.mlx_cpu_decode,
            *(pointer(name) for name in ("codes", "scales", "biases", "bias")),
        )

    def decode(self):
        """float32 [count * rows, columns]"""
        values = np.full((self.count * self.rows, self.columns), np.nan, np.float32)
        _decode(self.operand(), values.ctypes.data)
        return values


def dense(values, dtype, **parts):
    return Weight(dtype, dtype, values.shape, 8 * values.itemsize, codes=values, **parts)


def from_quantized(form, dtype, shape, width, group, arrays, **parts):
    """What mx.quantize gave, in place."""
    named = dict(zip(("codes", "scales", "biases"), (from_mx(array) for array in arrays)))
    return Weight(form, dtype, shape, width, group, **named, **parts)


def encode(form, dtype, width, group, values):
    """A weight of float32 values [rows, columns] that our own encoder made."""
    rows, columns = values.shape
    parts = {"codes": np.zeros((rows, columns * width // 32), np.uint32)}
    scales = (rows, columns // group)
    if form == "affine":
        parts["scales"] = np.zeros(scales, NUMPY[dtype])
        parts["biases"] = np.zeros(scales, NUMPY[dtype])
    else:
        parts["scales"] = np.zeros(scales, np.uint8)
    weight = Weight(form, dtype, values.shape, width, group, **parts)
    _encode(weight.operand(), np.ascontiguousarray(values, np.float32).ctypes.data)
    return weight


# --- ops ---


def _operand(value, dtype):
    if isinstance(value, Weight):
        return value.operand()
    assert value.flags.c_contiguous and value.dtype == NUMPY[dtype]
    rows, columns = value.shape
    return Operand(dtype.encode(), None, 1, rows, columns, data=value.ctypes.data)


def kernels_of(op):
    """Names of the kernels of an op that this machine can run, the reference first."""
    info, found = _native.KernelInfo(), []
    for index in range(_library.zmlx_kernel_count()):
        _library.zmlx_kernel_describe(c_size_t(index), ctypes.byref(info))
        if info.op.decode() == op and info.usable_here:
            found.append(info.name.decode())
    return found


def _once(op, kernel, inputs, output, options):
    """One run into fresh memory, which is NaN (or -1) until it is written."""
    shape, dtype = output
    y = np.full(shape, -1, np.int32) if dtype == "i32" else np.full(shape, np.nan, np.float32)
    y = y if dtype == "i32" else narrow(y, dtype)
    operands = [_operand(value, kind) for value, kind in inputs]
    outputs = [_operand(y, dtype)]
    call = Call(
        op.encode(),
        kernel.encode(),
        options["precision"].encode(),
        options["threads"],
        len(operands),
        len(outputs),
        (Operand * len(operands))(*operands),
        (Operand * len(outputs))(*outputs),
        ctypes.pointer(options["attributes"]),
        ctypes.pointer(options["step"]) if options["step"] is not None else None,
    )
    _run(ctypes.byref(call))
    return y


def run(op, inputs, output, precision="f32", step=None, **attributes):
    """The reference's output, which every other usable kernel must give too, bit for bit, on one
    thread and on two.

    inputs: (array or Weight, dtype); output: (shape, dtype).
    """
    made = Attributes(
        **{
            name: value.encode() if isinstance(value, str) else value
            for name, value in attributes.items()
        }
    )
    options = {"precision": precision, "threads": 1, "step": step, "attributes": made}
    reference, *others = kernels_of(op)
    want = _once(op, reference, inputs, output, options)
    options["threads"] = 2
    for kernel in others:
        try:
            got = _once(op, kernel, inputs, output, options)
        except _native.UnsupportedError:
            continue  # it does not take these operands
        wrong = np.argwhere(bits(got) != bits(want))
        if len(wrong):
            at = tuple(wrong[0])
            raise AssertionError(f"{kernel} gives {got[at]!r} at {at}, {reference} {want[at]!r}")
    return want


def positions(first, counts):
    """A step of sequences without keys and values; keep the arrays as long as the step."""
    kept = [(c_int32 * len(values))(*values) for values in (first, counts)]
    return Step(len(first), *kept)


def sample(logits, **options):
    """The weights that the sampler draws by, float64, and the token it drew."""
    logits = np.ascontiguousarray(logits, np.float32)
    weights, chosen = np.zeros(len(logits), np.float64), c_int32()
    _sample(
        _native.GenerateOptions(**options),
        logits.ctypes.data,
        len(logits),
        weights.ctypes.data,
        ctypes.byref(chosen),
    )
    return weights, chosen.value
