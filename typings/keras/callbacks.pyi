from typing import Any

from keras.models import Model

class Callback:
    params: dict[str, Any]
    @property
    def model(self) -> Model: ...
    def __init__(self) -> None: ...

class History(Callback):
    history: dict[str, list[float]]
