"""A trained model: parameters, trees, BTYD, blend, intervals, bundle, scoring."""
