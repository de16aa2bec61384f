"""QuantizedModel: a functional Keras model that pays for its bits, for the ordinary `compile` and `fit`, callbacks and all.

`hwq train` does without it: its own loop is faster. Both train the same layers on the same loss.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Any, Self, cast

from hwq.backend import keras, ops, tf
from hwq.errors import UsageError
from hwq.frontend.report import ConversionReport
from hwq.layers.totals import penalised_variables, priced, total_costs
from hwq.registration import register
from hwq.tensors import Config, Operand, Tensor


class _Latest(keras.metrics.Metric):
    """The value after the last batch: costs belong to the network, not to rows."""

    def __init__(self, name: str, dtype: object = "float32") -> None:
        super().__init__(name=name, dtype=dtype)  # float16 ends at 65 504
        self.latest = self.add_variable((), "zeros", name="latest")

    def update_state(self, value: Operand) -> None:
        self.latest.assign(ops.cast(value, self.latest.dtype))

    def result(self) -> Tensor:
        return ops.convert_to_tensor(self.latest)


@keras.saving.register_keras_serializable(package="hwq")
class QuantizedModel(keras.Model):
    """What `hwq.quantize` returns: loss + beta (EBOPs + gamma bits + l1 |kernels|).

    `ebops` (bits that the rounded weights enclose, times the bits of what they meet) and `ebops_declared` (bits at the trained
    fractions) are metrics like any other: in the progress bar, History, CSVLogger and TensorBoard. Set the price with `price`, or
    epoch by epoch with `BetaSchedule`; it is saved with the model.
    """

    logits: tuple[int, ...] = ()  # which outputs are those of a softmax that the twin leaves out
    report: ConversionReport | None = None  # what `hwq.quantize` made of each layer; saved and copied with the model

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.dtype_policy = "float32"  # whatever policy is set where the model is made or loaded
        self.resource_price = self.add_weight(
            name="resource_price", shape=(3,), dtype="float32", initializer="zeros", trainable=False
        )

    def __iter__(self) -> Iterator[Self | ConversionReport | None]:
        """The twin and its report, as `twin, report = hwq.quantize(model)` took them apart up to hwq 0.2."""
        warnings.warn("hwq.quantize returns the twin alone; the report is twin.report", DeprecationWarning, stacklevel=2)
        return iter((self, self.report))

    def price(self, beta: float, gamma: float = 1.0, l1: float = 0.0) -> None:
        """What resources cost in the loss.

        Args:
            beta: of one effective bit operation.
            gamma: of one bit of any weight or activation, as a multiple of beta.
            l1: of the absolute weights of the kernels, as a multiple of beta.
        """
        self.resource_price.assign([beta, gamma, l1])

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """As in Keras."""
        self._cost_metrics = [_Latest("ebops"), _Latest("ebops_declared")]
        self._declared: dict[str, Tensor] | None = None
        super().compile(*args, **kwargs)

    def get_config(self) -> Config:
        """As in Keras, and the report."""
        told = {} if self.report is None else {"report": asdict(self.report)}
        return {**super().get_config(), **told}

    @classmethod
    def from_config(cls, config: Config, custom_objects: Config | None = None) -> Self:
        """As in Keras, with everything of hwq that such a model may hold."""
        register()
        told = config.get("report")
        made = super().from_config({name: value for name, value in config.items() if name != "report"}, custom_objects)
        with suppress(KeyError, TypeError, ValueError):  # damaged: then nothing is known
            made.report = None if told is None else ConversionReport.of(cast("Mapping[str, list[list[str]]]", told))
        return made

    def compile_from_config(self, config: Config) -> None:
        """As in Keras, which leaves it to a model that has a `compile` of its own."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.optimizer is not None and self.built:
            self.optimizer.build(self.trainable_variables)

    def compute_loss(
        self,
        x: Operand | None = None,
        y: Operand | None = None,
        y_pred: Tensor | None = None,
        sample_weight: Operand | None = None,
        training: bool = True,
    ) -> Tensor:
        """The task's loss, and what the bits cost while training."""
        loss = super().compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=training)
        self._declared = total_costs(self)
        if tf is None:  # other backends show a model's variables to its loss, not to its metrics
            self._record(self._declared)
        return loss + self._resource_loss(self._declared) if training else loss

    def _resource_loss(self, costs: Mapping[str, Tensor]) -> Tensor:
        beta, gamma, l1 = (self.resource_price[i] for i in range(3))
        absolute = sum((ops.sum(ops.abs(v)) for v in penalised_variables(self)), start=ops.zeros((), "float32"))
        return beta * (priced(costs, None, gamma) + l1 * absolute)

    def compute_metrics(self, x: Operand, y: Operand, y_pred: Tensor, sample_weight: Operand | None = None) -> dict[str, object]:
        """As in Keras, with the EBOPs after this batch; before it on other backends than TensorFlow."""
        declared, self._declared = self._declared, None  # of the loss of this very step
        if tf is not None:
            self._record(declared or total_costs(self))
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def _record(self, declared: Mapping[str, Tensor]) -> None:
        for metric, costs in zip(self._cost_metrics, (total_costs(self, exact=True), declared), strict=True):
            metric.update_state(costs["ebops"])


class BetaSchedule(keras.callbacks.Callback):
    """beta_start during the warm-up, then rising geometrically to beta_end in the last epoch; `beta` appears in the logs.

    Args:
        beta_start, beta_end: price of an EBOP, first and last.
        warmup: share of the epochs that stay at beta_start.

    Raises:
        UsageError: a price that is no number above 0, or a warm-up that is no share from 0 to 1.

    Example:
        >>> import keras, numpy as np, hwq
        >>> x = np.random.default_rng(0).normal(size=(100, 4)).astype("float32")
        >>> twin = hwq.quantize(keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]), data=x)
        >>> twin.compile("adam", "mse")
        >>> price = hwq.callbacks.BetaSchedule(1e-6, 1e-4)
        >>> history = twin.fit(x, x[:, :2], epochs=2, callbacks=[price], verbose=0)
        >>> [round(beta, 6) for beta in history.history["beta"]]
        [1e-06, 0.0001]
    """

    def __init__(self, beta_start: float, beta_end: float, warmup: float = 0.1) -> None:
        super().__init__()
        if not (0 < beta_start < math.inf and 0 < beta_end < math.inf):
            raise UsageError(f"prices of {beta_start} and {beta_end}: both are above 0", hint="1e-7 costs next to nothing")
        if not 0 <= warmup <= 1:
            raise UsageError(f"a warm-up of {warmup}: it is a share of the epochs, 0 to 1")
        self.beta_start, self.beta_end, self.warmup = beta_start, beta_end, warmup
        self.beta = beta_start

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        last = (self.params.get("epochs") or 1) - 1
        first = int(self.warmup * (last + 1))
        share = 0.0 if epoch < first or last <= first else (epoch - first) / (last - first)
        self.beta = self.beta_start * (self.beta_end / self.beta_start) ** share
        model = cast(QuantizedModel, self.model)
        _, gamma, l1 = (float(v) for v in ops.convert_to_numpy(model.resource_price))
        model.price(self.beta, gamma, l1)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if logs is not None:
            logs["beta"] = self.beta
