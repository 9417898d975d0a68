"""The kubelet's two gRPC protocols: messages and stubs, generated from the .proto files here.

hatch_build.py generates them at every install. Package, message and field numbers are the
kubelet's; of its messages only the fields that we read or write are declared, which protobuf
allows: what is not declared is skipped.
"""
