"""KEDA's protocol for external scalers: messages and stubs, generated from the .proto file here.

hatch_build.py generates them at every install. Package, service and field numbers are KEDA's. Its
optional StreamMetricSpec is left out, since our target never changes; KEDA takes the answer
UNIMPLEMENTED for that.
"""
