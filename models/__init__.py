"""What a trained model is: parameters, trees, BTYD, blend, intervals, bundle, scoring."""
