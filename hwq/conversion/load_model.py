"""A float model of a Keras file, of Keras 3 (.keras) or Keras 2 (.h5). A file is data: a Lambda is refused before anything is built."""

from __future__ import annotations

from pathlib import Path

from hwq.backend import keras
from hwq.errors import ModelError, UnsupportedLayerError
from hwq.importers.keras_files import config_of, kinds_of, packages_of
from hwq.tensors import Config

SUFFIXES = (".keras", ".h5", ".hdf5")


class _Depthwise(keras.layers.DepthwiseConv2D):
    """Keras 2 wrote options of a convolution that it has not, always at 1; Keras 3 refuses them."""

    @classmethod
    def from_config(cls, config: Config) -> keras.layers.Layer:  # type: ignore[override]
        told = {name: value for name, value in config.items() if not (name == "groups" and value == 1)}
        return keras.layers.DepthwiseConv2D.from_config(told)


def load_model(path: Path) -> keras.Model:
    """The model in a file, not compiled.

    Raises:
        ModelError: no such file, or one that Keras cannot load.
        UnsupportedLayerError: a Lambda, or a network that another package has quantised.
    """
    if not path.is_file():
        raise ModelError(
            f"there is no model file {path}",
            hint='save one with model.save("net.keras"), or train a network of hwq\'s own: --model mlp:64,32',
        )
    try:
        config = config_of(path)
        if "Lambda" in kinds_of(config):
            raise UnsupportedLayerError(f"{path} has a Lambda layer, and hwq runs no code of a file", hint="write it as a layer")
        peers = packages_of(config) & {"hgq", "hgq2", "HGQ"}
        if peers:
            raise UnsupportedLayerError(
                f"{path} is quantised already, by {min(peers)}", hint=f"take it as it is: hwq convert {path}"
            )
        return keras.saving.load_model(path, compile=False, custom_objects={"DepthwiseConv2D": _Depthwise})
    except (ValueError, OSError, TypeError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(f"cannot load {path}: {first}", hint="save it with model.save('name.keras') in Keras 3") from error
