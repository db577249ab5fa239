"""The gRPC server over the engine."""
