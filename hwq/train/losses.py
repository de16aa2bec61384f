"""The loss of each row: of a task its own, or one of Keras by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable

from hwq.backend import keras, ops, tf
from hwq.data.task import Task
from hwq.errors import UsageError
from hwq.tensors import Tensor

Loss = Callable[[Tensor, Tensor], Tensor]  # labels and answers (rows, outputs) to (rows,)


def loss_of(task: Task, name: str = "") -> Loss:
    """The loss of a task.

    Args:
        name: as Keras has it: "huber", "mean_absolute_error", "binary_focal_crossentropy"; empty: cross-entropy of classes and labels,
            squared error of numbers. Answers are logits where the task has classes or labels.

    Raises:
        UsageError: Keras has no such loss, or it does not fit the task.
    """
    if not name:
        return {"classes": _classes, "binary": _labels, "multilabel": _labels}.get(task.name, _squared)
    try:
        found = keras.losses.get(name)
    except ValueError as error:
        raise UsageError(
            f"Keras has no loss {name!r}", hint="huber, mean_absolute_error, binary_focal_crossentropy, ..."
        ) from error
    function: Callable[..., Tensor] = found.call if isinstance(found, keras.losses.Loss) else found
    takes_logits = "from_logits" in inspect.signature(function).parameters
    if ("crossentropy" in name.lower()) != (task.name not in ("regression", "reconstruction")) and "crossentropy" in name.lower():
        raise UsageError(f"the loss {name} is of classes, the task is {task.name}", hint="mean_squared_error, huber, ...")
    options = {"from_logits": True} if takes_logits else {}

    def loss(labels: Tensor, answers: Tensor) -> Tensor:
        if task.name == "classes" and not name.lower().startswith("sparse"):
            labels = ops.one_hot(labels, answers.shape[-1])
        elif task.name != "classes":
            labels = _as_answers(labels, answers)
        found = function(labels, answers, **options)
        return found if len(found.shape) == 1 else ops.mean(found, axis=tuple(range(1, len(found.shape))))

    return loss


def _as_answers(labels: Tensor, answers: Tensor) -> Tensor:
    """Labels as floats in the shape of the answers; without the label of a row that stands behind it."""
    flat = ops.reshape(ops.cast(labels, answers.dtype), (answers.shape[0] or -1, -1))
    return flat[:, : answers.shape[-1]]


def _classes(labels: Tensor, answers: Tensor) -> Tensor:
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=answers)


def _labels(labels: Tensor, answers: Tensor) -> Tensor:
    wanted = _as_answers(labels, answers)
    # log(1 + exp(-|x|)) + max(x, 0) - x y: exact where exp overflows
    losses = ops.maximum(answers, 0.0) - answers * wanted + ops.log(1.0 + ops.exp(-ops.abs(answers)))
    return ops.mean(losses, axis=-1)


def _squared(labels: Tensor, answers: Tensor) -> Tensor:
    difference = answers - _as_answers(labels, answers)
    return ops.mean(difference * difference, axis=-1)
