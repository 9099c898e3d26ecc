"""A simulation of large deployments: ``python -m bench.scale --viewers 1000000 --messages 100000``.

It computes how many nodes a load needs, simulates a second of it message by message, and tells
which part saturates first. Its only parameters are what was measured (`bench.scale.costs`). Nothing
is started and nothing is measured here.
"""
