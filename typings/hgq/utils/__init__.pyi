from keras import Model

from hwq.tensors import Array

def trace_minmax(model: Model, data: Array, *, batch_size: int = ..., verbose: int = ...) -> None: ...
