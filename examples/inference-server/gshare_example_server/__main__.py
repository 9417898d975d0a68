"""Entry point: `gshare-example-server --model resnet50`."""

import argparse
import os
import sys

from . import app, engine, gpu, models, server, weights

_SWITCH_SECONDS = 0.0001


def _arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="gshare-example-server", description=__doc__)
    parser.add_argument("--model", default="resnet50", help=f"one of {', '.join(models.names())}")
    parser.add_argument(
        "--host",
        default=os.environ.get("LISTEN_HOST", "127.0.0.1"),
        help="address to listen on (default: $LISTEN_HOST, else 127.0.0.1)",
    )
    parser.add_argument(
        "--port",
        type=int,
        default=int(os.environ.get("PORT", "8080")),
        help="port to listen on; 0 takes a free one (default: $PORT, else 8080)",
    )
    parser.add_argument(
        "--metrics-port",
        type=int,
        default=os.environ.get("METRICS_PORT"),
        help="port that serves /healthz and /metrics too, however busy the other is "
        "(default: $METRICS_PORT, else none)",
    )
    parser.add_argument(
        "--drain-seconds",
        type=float,
        default=os.environ.get("DRAIN_SECONDS", "0.3"),
        help="from SIGTERM to closing the port (default: $DRAIN_SECONDS, else 0.3)",
    )
    parser.add_argument(
        "--in-flight", type=int, default=2, help="requests on the GPU's queue at once (default: 2)"
    )
    parser.add_argument(
        "--model-store",
        nargs="?",
        const="",
        default=os.environ.get("MODEL_STORE"),
        metavar="KEY",
        help="share the weights with the replicas on this GPU, as KEY (default: the model's name); "
        "also by $MODEL_STORE",
    )
    return parser.parse_args(arguments)


def _settings(options: argparse.Namespace) -> server.Settings:
    return server.Settings(
        host=options.host,
        port=options.port,
        metrics_port=_local(options.metrics_port),
        drain_seconds=options.drain_seconds,
    )


def _weights(model: models.Model, device: gpu.Gpu, options: argparse.Namespace) -> object:
    """Return the model's weights: shared where the flag or the environment says so."""
    if options.model_store is None:
        return weights.private(model, device)
    return weights.shared(model, options.model_store or model.name)


def _local(port: int | None) -> int | None:
    """Return the port to listen on for a container's port: $PORT_<port>, where one is given."""
    return None if port is None else int(os.environ.get(f"PORT_{port}", port))


def _favour_launches() -> None:
    """Let a thread that launches have the interpreter soon after it wakes.

    A thread that answers a request would otherwise keep it for up to 5 ms, Python's default, in
    which the GPU's queue runs dry: time that counts against the server's GPU quota.
    """
    sys.setswitchinterval(_SWITCH_SECONDS)


def main(arguments: list[str] | None = None) -> int:
    """Load the model, serve it until SIGTERM, and return the exit code."""
    options = _arguments(arguments)
    _favour_launches()
    try:
        model = models.load(options.model)
        device = gpu.Gpu()
        inference = engine.Engine(
            model, device, _weights(model, device, options), options.in_flight
        )
        print(f"{model.name} loaded on {device.name}", flush=True)  # noqa: T201
        server.serve(app.build(inference), _settings(options))
        inference.close()
        device.close()
    except (models.ModelError, weights.WeightsError, gpu.GpuError, OSError) as error:
        print(f"gshare-example-server: {options.model}: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
