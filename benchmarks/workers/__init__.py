"""Programs that measure hwq in processes of their own."""
