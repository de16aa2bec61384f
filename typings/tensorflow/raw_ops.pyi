from hwq.tensors import Operand, Tensor

def BiasAddGrad(*, out_backprop: Operand) -> Tensor: ...  # noqa: N802  # as TensorFlow has it
