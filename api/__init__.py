"""Interfaces of other libraries: estimators for scikit-learn, BTYD models as in lifetimes."""
