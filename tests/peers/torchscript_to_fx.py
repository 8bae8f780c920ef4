"""A TorchScript classifier as the torch.fx.GraphModule that somebody would have written: PyTorch's FX
quantization wants Python modules and functions (nn.Conv2d, nn.ReLU, torch.cat, ...), not a script.

The script is frozen, which inlines it and folds batch norm into convolutions, and then evaluated with one
sample: what depends on constants and shapes alone becomes a value, what depends on the image becomes a
module, function or method call of the new graph. Everything that core/import/torchscript reads is known here.
"""
import operator

import torch
from torch import fx, nn
from torch.nn import functional as F


class Unsupported(Exception):
    """Says which operator of the script has no counterpart here."""


class Traced:
    """A value that depends on the image (or a batch size): a node of the new graph, and what it is for the sample."""

    def __init__(self, node, sample):
        self.node, self.sample = node, sample


def samples(value):
    return fx.node.map_aggregate(value, lambda v: v.sample if isinstance(v, Traced) else v)


def nodes(value):
    return fx.node.map_aggregate(value, lambda v: v.node if isinstance(v, Traced) else v)


def is_traced(value):
    found = []
    fx.node.map_aggregate(value, lambda v: found.append(isinstance(v, Traced)))
    return any(found)


class Writer:
    """Adds calls to the new graph, each run on the sample at once."""

    def __init__(self):
        self.root, self.graph = nn.Module(), fx.Graph()

    def input(self, sample):
        return Traced(self.graph.placeholder("x"), sample)

    def module(self, module, *args):
        name = f"{type(module).__name__.lower()}_{len(list(self.root.children()))}"
        self.root.add_module(name, module.eval())
        return Traced(self.graph.call_module(name, nodes(args)), module(*samples(args)))

    def function(self, function, *args, **kwargs):
        node = self.graph.call_function(function, nodes(args), nodes(kwargs))
        return Traced(node, function(*samples(args), **samples(kwargs)))

    def method(self, name, x, *args):
        node = self.graph.call_method(name, nodes((x, *args)))
        return Traced(node, getattr(x.sample, name)(*samples(args)))

    def finish(self, output):
        self.graph.output(output.node)
        self.graph.lint()
        return fx.GraphModule(self.root, self.graph).eval()


# ---- layers with weights

def constant(value, what):
    if isinstance(value, Traced):
        raise Unsupported(f"{what} is computed from the image")
    return value


def with_parameters(module, weight, bias):
    with torch.no_grad():
        module.weight.copy_(constant(weight, "the weight"))
        if bias is not None:
            module.bias.copy_(constant(bias, "the bias"))
    return module


def convolution(w, a):
    if a.get("transposed") or a["weight"].dim() != 4:
        raise Unsupported("a transposed or not two-dimensional convolution")
    out, group_in, *kernel = constant(a["weight"], "the weight").shape
    module = nn.Conv2d(group_in * a["groups"], out, kernel, a["stride"], a["padding"], a["dilation"], a["groups"],
                       a["bias"] is not None)
    return w.module(with_parameters(module, a["weight"], a["bias"]), a["input"])


def linear(w, x, weight, bias):
    out, features = constant(weight, "the weight").shape
    return w.module(with_parameters(nn.Linear(features, out, bias is not None), weight, bias), x)


def addmm(w, a):
    if a["beta"] != 1 or a["alpha"] != 1:
        raise Unsupported("addmm with beta or alpha")
    return linear(w, a["mat1"], a["mat2"].t(), a["self"])


def batch_norm(w, a):
    if a["training"]:
        raise Unsupported("batch norm in training mode")
    kind = nn.BatchNorm2d if a["input"].sample.dim() == 4 else nn.BatchNorm1d
    module = kind(a["running_mean"].numel(), eps=a["eps"], affine=a["weight"] is not None)
    module.running_mean.copy_(a["running_mean"])
    module.running_var.copy_(a["running_var"])
    if a["weight"] is not None:
        with_parameters(module, a["weight"], a["bias"])
    return w.module(module.eval(), a["input"])


# ---- activations

def hardtanh(w, a):
    low, high = a["min_val"], a["max_val"]
    return w.module(nn.ReLU6() if (low, high) == (0, 6) else nn.Hardtanh(low, high), a["self"])


def clamp(w, a):
    low, high = a.get("min"), a.get("max")
    if low == 0 and high is None:
        return w.module(nn.ReLU(), a["self"])
    return w.function(torch.clamp, a["self"], low, high)


# ---- arithmetic; Python's operators are what people write, and what FX looks for

def arithmetic(function):
    def convert(w, a):
        if a.get("alpha", 1) != 1:
            return w.function(function, a["self"], w.function(operator.mul, a["other"], a["alpha"]))
        if a.get("rounding_mode") is not None:
            raise Unsupported("a division that rounds")
        return w.function(function, a["self"], a["other"])
    return convert


# ---- pools

def two(value):
    return list(value) * 2 if len(value) == 1 else list(value)


def max_pool(w, a):
    stride = a["stride"] or a["kernel_size"]
    return w.module(nn.MaxPool2d(two(a["kernel_size"]), two(stride), two(a["padding"]), two(a["dilation"]),
                                 ceil_mode=a["ceil_mode"]), a["self"])


def avg_pool(w, a):
    stride = a["stride"] or a["kernel_size"]
    return w.module(nn.AvgPool2d(two(a["kernel_size"]), two(stride), two(a["padding"]), a["ceil_mode"],
                                 a["count_include_pad"], a["divisor_override"]), a["self"])


def reduction(function):
    def convert(w, a):
        return w.function(function, a["self"], *([a["dim"], a["keepdim"]] if a.get("dim") is not None else []))
    return convert


# ---- shapes and selections

def view(w, a):
    return w.method("reshape", a["self"], *a.get("size", a.get("shape")))


def slice_(w, a):
    dim = a["dim"] % a["self"].sample.dim()
    end = None if a["end"] is None or a["end"] >= a["self"].sample.size(dim) else a["end"]
    if a["start"] in (None, 0) and end is None and a["step"] == 1:
        return a["self"]
    index = (slice(None),) * dim + (slice(a["start"], end, a["step"]),)
    return w.function(operator.getitem, a["self"], index)


def select(w, a):
    dim = a["dim"] % a["self"].sample.dim()
    return w.function(operator.getitem, a["self"], (slice(None),) * dim + (a["index"],))


def pieces(function):
    """An operator that returns a list: one getitem for each piece."""
    def convert(w, a):
        rest = {name: value for name, value in a.items() if name != "self"}
        whole = w.function(function, a["self"], **rest)
        return [Traced(w.graph.call_function(operator.getitem, (whole.node, i)), piece)
                for i, piece in enumerate(whole.sample)]
    return convert


def pad(w, a):
    if a.get("mode", "constant") != "constant":
        raise Unsupported(f"padding with mode {a['mode']}")
    return w.function(F.pad, a["self"], list(a["pad"]), "constant", a.get("value") or 0.0)


def method(name, *arguments):
    return lambda w, a: w.method(name, a["self"], *(a[argument] for argument in arguments))


def function(target, *arguments):
    return lambda w, a: w.function(target, a["self"], *(a[argument] for argument in arguments))


def module(make):
    return lambda w, a: w.module(make(a), a["self"])


def identity(_, a):
    if a.get("train"):
        raise Unsupported("dropout in training mode; call eval() before saving the model")
    return next(iter(a.values()))


CONVERTERS = {
    "conv2d": convolution, "convolution": convolution, "_convolution": convolution,
    "linear": lambda w, a: linear(w, a["input"], a["weight"], a["bias"]),
    "addmm": addmm,
    "matmul": lambda w, a: linear(w, a["self"], a["other"].t(), None),
    "mm": lambda w, a: linear(w, a["self"], a["mat2"].t(), None),
    "batch_norm": batch_norm,
    "relu": module(lambda a: nn.ReLU()), "relu6": module(lambda a: nn.ReLU6()), "hardtanh": hardtanh,
    "clamp": clamp, "clip": clamp, "clamp_min": clamp, "clamp_max": clamp,
    "threshold": module(lambda a: nn.Threshold(a["threshold"], a["value"])),
    "leaky_relu": module(lambda a: nn.LeakyReLU(a["negative_slope"])), "sigmoid": module(lambda a: nn.Sigmoid()),
    "hardsigmoid": module(lambda a: nn.Hardsigmoid()), "silu": module(lambda a: nn.SiLU()),
    "hardswish": module(lambda a: nn.Hardswish()), "tanh": module(lambda a: nn.Tanh()),
    "softmax": module(lambda a: nn.Softmax(a["dim"])),
    "add": arithmetic(operator.add), "sub": arithmetic(operator.sub), "subtract": arithmetic(operator.sub),
    "mul": arithmetic(operator.mul), "multiply": arithmetic(operator.mul), "div": arithmetic(operator.truediv),
    "divide": arithmetic(operator.truediv), "true_divide": arithmetic(operator.truediv),
    "neg": function(operator.neg), "negative": function(operator.neg),
    "square": lambda w, a: w.function(operator.mul, a["self"], a["self"]),
    "max_pool2d": max_pool, "avg_pool2d": avg_pool,
    "adaptive_avg_pool2d": module(lambda a: nn.AdaptiveAvgPool2d(a["output_size"])),
    "_adaptive_avg_pool2d": module(lambda a: nn.AdaptiveAvgPool2d(a["output_size"])),
    "mean": reduction(torch.mean), "sum": reduction(torch.sum),
    "view": view, "reshape": view, "_reshape_alias": view, "_unsafe_view": view,
    "view_as": lambda w, a: w.method("view_as", a["self"], a["other"]),
    "reshape_as": lambda w, a: w.method("reshape_as", a["self"], a["other"]),
    "flatten": function(torch.flatten, "start_dim", "end_dim"), "unflatten": method("unflatten", "dim", "sizes"),
    "unsqueeze": method("unsqueeze", "dim"),
    "squeeze": lambda w, a: w.method("squeeze", a["self"], *([a["dim"]] if "dim" in a else [])),
    "permute": lambda w, a: w.method("permute", a["self"], *a["dims"]),
    "transpose": method("transpose", "dim0", "dim1"), "swapaxes": method("transpose", "axis0", "axis1"),
    "swapdims": method("transpose", "dim0", "dim1"), "t": method("t"),
    "expand": lambda w, a: w.method("expand", a["self"], *a["size"]), "expand_as": method("expand_as", "other"),
    "channel_shuffle": function(torch.channel_shuffle, "groups"),
    "pixel_shuffle": module(lambda a: nn.PixelShuffle(a["upscale_factor"])),
    "pixel_unshuffle": module(lambda a: nn.PixelUnshuffle(a["downscale_factor"])),
    "slice": slice_, "narrow": method("narrow", "dim", "start", "length"), "select": select,
    "chunk": pieces(torch.chunk), "split": pieces(torch.split), "tensor_split": pieces(torch.tensor_split),
    "split_with_sizes": pieces(torch.split_with_sizes), "unbind": pieces(torch.unbind),
    "pad": pad, "constant_pad_nd": pad,
    "cat": lambda w, a: w.function(torch.cat, a["tensors"], a["dim"]),
    "concat": lambda w, a: w.function(torch.cat, a["tensors"], a["dim"]),
    "stack": lambda w, a: w.function(torch.stack, a["tensors"], a["dim"]),
}
for name in ("dropout", "feature_dropout", "alpha_dropout", "detach", "alias", "clone", "contiguous", "to", "type_as",
             "float", "cpu", "requires_grad_", "positive", "lift", "lift_fresh", "_to_copy"):
    CONVERTERS[name] = identity

# Answers that depend on shapes and types only, never on the batch.
QUERIES = {"dim", "len", "is_floating_point", "is_complex", "__is__", "__isnot__", "device", "dtype", "layout",
           "requires_grad", "is_cuda", "is_quantized", "is_sparse", "is_mkldnn", "is_contiguous"}


def place(node):
    """The line of the source that TorchScript marks with "<--- HERE", where there is one."""
    lines = node.sourceRange().splitlines()
    marked = [i for i, line in enumerate(lines) if "<--- HERE" in line]
    return f", in: {lines[marked[0] - 1].strip()}" if marked and marked[0] > 0 else ""


class Evaluator:
    """Runs the script's graph with known values and traced ones."""

    def __init__(self, writer):
        self.writer, self.values = writer, {}

    def run(self, block):
        for node in block.nodes():
            try:
                results = self.node(node)
            except Unsupported as error:
                raise Unsupported(f"{node.kind()}: {error}{place(node)}") from None
            outputs = list(node.outputs())
            if len(outputs) == 1:
                results = [results]
            for output, result in zip(outputs, results or []):
                self.values[output.debugName()] = result
        return [self.value(output) for output in self.block_outputs(block)]

    @staticmethod
    def block_outputs(block):
        return list(block.outputs()) if isinstance(block, torch._C.Graph) else list(block.returnNode().inputs())

    def value(self, value):
        return self.values[value.debugName()]

    def node(self, node):
        kind = node.kind()
        inputs = [self.value(value) for value in node.inputs()]
        if kind.startswith("prim::"):
            special = getattr(self, "prim_" + kind[len("prim::"):], None)
            if special:
                return special(node, inputs)
        return self.operator(node, kind.split("::")[1], inputs)

    def operator(self, node, name, inputs):
        if name == "size" and isinstance(inputs[0], Traced):
            return self.size(*inputs)
        if name == "__getitem__" and isinstance(inputs[0], (list, tuple)):
            return inputs[0][inputs[1]]
        if name in ("Int", "NumToTensor", "ScalarImplicit", "IntImplicit") and isinstance(inputs[0], (Traced, int)):
            return inputs[0]
        if name in QUERIES or not is_traced(inputs):
            target = getattr(getattr(torch.ops, node.kind().split("::")[0]), name)
            return target(*samples(inputs))
        if any(isinstance(v, Traced) and isinstance(v.sample, int) for v in inputs):
            raise Unsupported("computes with the batch size")
        names = [argument.name for argument in torch._C.parse_schema(node.schema()).arguments]
        convert = CONVERTERS.get(name) or CONVERTERS.get(name.removesuffix("_"))
        if convert is None:
            raise Unsupported("has no counterpart in FX here")
        try:
            return convert(self.writer, dict(zip(names, inputs)))
        except (KeyError, AttributeError, TypeError, ValueError) as error:
            raise Unsupported(f"in this form has no counterpart in FX here ({error!r})") from error

    def size(self, x, dim=None):
        if dim is not None and dim % x.sample.dim() != 0:
            return x.sample.size(dim)
        batch = self.writer.method("size", x, 0)
        return batch if dim is not None else [batch, *x.sample.shape[1:]]

    def prim_Constant(self, node, _):
        return node.outputsAt(0).toIValue()

    def prim_ListConstruct(self, _, inputs):
        return inputs

    def prim_TupleConstruct(self, _, inputs):
        return tuple(inputs)

    def prim_DictConstruct(self, _, inputs):
        return dict(zip(inputs[::2], inputs[1::2]))

    def prim_ListUnpack(self, node, inputs):
        return inputs[0][0] if node.outputsSize() == 1 else inputs[0]

    prim_TupleUnpack = prim_ListUnpack

    def prim_TupleIndex(self, _, inputs):
        return inputs[0][inputs[1]]

    def prim_unchecked_cast(self, _, inputs):
        return inputs[0]

    def prim_Uninitialized(self, *_):
        return None

    def prim_Print(self, *_):
        return []

    def prim_RaiseException(self, _, inputs):
        raise Unsupported(f"the network refuses its input: {inputs[0]}")

    def prim_If(self, node, inputs):
        if isinstance(inputs[0], Traced):
            raise Unsupported("a condition that depends on the image")
        block = list(node.blocks())[0 if inputs[0] else 1]
        results = self.run(block)
        return results[0] if node.outputsSize() == 1 else results

    def prim_Loop(self, node, inputs):
        trips, go_on, *carried = inputs
        if is_traced([trips, go_on]):
            raise Unsupported("a loop that depends on the image")
        (block,) = node.blocks()
        trip = 0
        while go_on and trip < trips:
            for value, known in zip(block.paramNode().outputs(), [trip, *carried]):
                self.values[value.debugName()] = known
            go_on, *carried = self.run(block)
            trip += 1
        return carried[0] if node.outputsSize() == 1 else carried


def convert(path, input_shape):
    """The network of the TorchScript file as a GraphModule for any batch size; `input_shape` is one sample's."""
    try:
        script = torch.jit.load(path, map_location="cpu").eval()
        frozen = torch.jit.freeze(script)
    except RuntimeError as error:
        raise Unsupported(f"{path}: {str(error).strip().splitlines()[0]}") from error
    graph = frozen.graph
    torch._C._jit_pass_inline(graph)
    writer = Writer()
    evaluator = Evaluator(writer)
    _, *inputs = graph.inputs()
    if len(inputs) != 1:
        raise Unsupported(f"a network of {len(inputs)} inputs")
    # Two images: with one, an operator that drops dimensions of size 1 would drop the batch, too.
    sample = torch.randn(2, *input_shape, generator=torch.Generator().manual_seed(1))
    evaluator.values[inputs[0].debugName()] = writer.input(sample)
    with torch.no_grad():
        (output,) = evaluator.run(graph)
        if isinstance(output, (tuple, list)) and len(output) == 1:
            (output,) = output
        if not isinstance(output, Traced) or not torch.is_tensor(output.sample):
            raise Unsupported("a network whose output is not one tensor")
        result = writer.finish(output)
        expected, converted = script(sample), result(sample)
        expected = expected[0] if isinstance(expected, (tuple, list)) else expected
        if not torch.allclose(expected, converted, rtol=1e-3, atol=1e-3 * float(expected.abs().max())):
            raise Unsupported(f"the conversion differs by {float((expected - converted).abs().max()):g}")
    return result
