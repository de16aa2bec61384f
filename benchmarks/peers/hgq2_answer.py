"""Run in HGQ2's own environment: a network's file and rows (.npy) as JSON on stdin, its answers in float32 on stdout."""

import json
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import hgq.layers
import keras
import numpy as np

given = json.load(sys.stdin)
model = keras.saving.load_model(given["network"], compile=False)
answers = np.asarray(model(np.load(given["rows"]), training=False))  # eagerly: a compiled call may sum in another order
json.dump({"answers": answers.astype(float).tolist(), "layers": len(model.layers), "from": hgq.layers.__name__}, sys.stdout)
