"""What experiments share: rows, the driver, results, environments of peers, processes, data, fronts."""
