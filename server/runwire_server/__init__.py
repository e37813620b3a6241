"""The Runwire server: gRPC services over SQLAlchemy and fsspec."""
