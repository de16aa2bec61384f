"""The multiply-accumulate style: products with constant matrices folded in time, their weights in memories.
What every style writes of words and schedules is beside this folder."""
