"""The multiply-accumulate style: products with constant matrices folded in time, their weights in memories."""
