"""The nightly run: check, train, score, report and monitor in one go, unattended"""
