"""What several commands share: options, how mistakes are told, how results are printed."""
