"""In an environment with hls4ml: its C++ of a multilayer perceptron, compiled and run. JSON in, JSON out.

In: {"folder": where to work, "layers": [{"kernel": [[..]], "bias": [..], "weight": "ap_fixed<..>", "result": "ap_fixed<..>",
"relu": "ap_ufixed<..>" or null}], "input": "ap_fixed<..>", "rows": how many to predict}.
Out: {"build_cpu_s", "build_mb", "predict_per_s"}.
"""

from __future__ import annotations

import contextlib
import json
import resource
import sys
import time
from typing import Any

import numpy as np
from hls4ml.model.graph import ModelGraph


def layer_list(given: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """hls4ml's own description of the network, and the precision of every layer."""
    size = len(given["layers"][0]["kernel"])
    layers: list[dict[str, Any]] = [{"class_name": "InputLayer", "name": "x", "input_shape": [size]}]
    precision: dict[str, Any] = {"x": {"Precision": {"result": given["input"]}}}
    for number, layer in enumerate(given["layers"]):
        kernel, bias = np.array(layer["kernel"]), np.array(layer["bias"])
        name = f"dense_{number}"
        layers.append(
            {
                "class_name": "Dense",
                "name": name,
                "inputs": [layers[-1]["name"]],
                "n_in": kernel.shape[0],
                "n_out": kernel.shape[1],
                "weight_data": kernel,
                "bias_data": bias,
            }
        )
        types = {"weight": layer["weight"], "bias": layer["result"], "result": layer["result"], "accum": layer["result"]}
        precision[name] = {"Precision": types, "ReuseFactor": 1, "Strategy": "Latency"}
        if layer["relu"]:
            layers.append(
                {
                    "class_name": "Activation",
                    "name": f"relu_{number}",
                    "activation": "relu",
                    "n_in": kernel.shape[1],
                    "inputs": [name],
                }
            )
            precision[f"relu_{number}"] = {"Precision": {"result": layer["relu"]}}
    return layers, precision


def main() -> None:
    """Compile, predict twice, and tell what the second took."""
    given = json.load(sys.stdin)
    layers, precision = layer_list(given)
    config = {
        "OutputDir": given["folder"],
        "ProjectName": "peer",
        "Backend": "Vitis",
        "IOType": "io_parallel",
        "Part": "xcvu9p-flga2104-2L-e",
        "ClockPeriod": 5,
        "HLSConfig": {"Model": {"Precision": "ap_fixed<16,6>", "ReuseFactor": 1, "Strategy": "Latency"}, "LayerName": precision},
    }
    with contextlib.redirect_stdout(sys.stderr):
        model = ModelGraph.from_layer_list(config, layers, inputs=["x"], outputs=[layers[-1]["name"]])
        model.write()
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        model.compile()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        x = np.random.default_rng(0).normal(size=(given["rows"], len(given["layers"][0]["kernel"])))
        x = np.ascontiguousarray(x, np.float32)
        model.predict(x[:100])
        began = time.process_time()
        model.predict(x)
        seconds = time.process_time() - began
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    json.dump({"build_cpu_s": cpu, "build_mb": after.ru_maxrss / 1024, "predict_per_s": given["rows"] / seconds}, sys.stdout)


if __name__ == "__main__":
    main()
