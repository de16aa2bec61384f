"""What hwq uses of Keras 3, which has no types of its own."""

from collections.abc import Sequence

from keras import activations as activations
from keras import backend as backend
from keras import callbacks as callbacks
from keras import config as config
from keras import constraints as constraints
from keras import initializers as initializers
from keras import layers as layers
from keras import losses as losses
from keras import metrics as metrics
from keras import models as models
from keras import ops as ops
from keras import optimizers as optimizers
from keras import regularizers as regularizers
from keras import saving as saving
from keras import tree as tree
from keras import utils as utils
from keras.layers import KerasTensor as KerasTensor
from keras.layers import Layer as Layer
from keras.layers import Operation as Operation
from keras.models import Model as Model
from keras.models import Sequential as Sequential

from hwq.tensors import BatchShape, Tensor
from hwq.tensors import Variable as _Variable

def Input(shape: BatchShape, *, name: str | None = None, dtype: str | None = None) -> KerasTensor: ...  # noqa: N802  # as Keras has it

class Variable:
    trainable: bool

class StatelessScope:
    def __init__(self, state_mapping: Sequence[tuple[_Variable, Tensor]] = ...) -> None: ...
    def __enter__(self) -> StatelessScope: ...
    def __exit__(self, *args: object) -> None: ...
    def get_current_value(self, variable: _Variable) -> Tensor | None: ...
