"""Scripts that run in the environments of peers, where there is no hwq; each answers on its standard output."""
