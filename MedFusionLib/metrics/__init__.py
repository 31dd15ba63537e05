"""No-reference metrics, one a file; found by `registry.list_metrics`."""
