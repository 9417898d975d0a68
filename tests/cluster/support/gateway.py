"""A gateway as serverless platforms have one: it counts requests and waits for a first replica.

No replica means nobody who counts arrivals, so scaling up from zero needs a counter in front. This
one is OpenFaaS's in name and meaning; its program needs nothing but Python.
"""

from typing import Final

from tests.cluster import images

from .scene import Scene, is_ready, until
from .workloads import Object

NAME: Final = "gateway"
PORT: Final = 8080
_PATIENCE_S: Final = 30

_PROGRAM: Final = """
import http.client, http.server, sys, threading, time, urllib.error, urllib.request

function, backend, port, patience_s = sys.argv[1:]
counted = {"requests": 0}
lock = threading.Lock()

def forwarded():
    deadline = time.monotonic() + float(patience_s)
    while time.monotonic() < deadline:
        try:
            return urllib.request.urlopen(backend, timeout=5).status
        except urllib.error.HTTPError as error:
            return error.code
        except (OSError, http.client.HTTPException):
            time.sleep(0.2)
    return 503

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/metrics":
            name = "gateway_function_invocation_started"
            text = name + '{function_name="' + function + '"} ' + str(counted["requests"])
            return self.answer(200, text + chr(10))
        with lock:
            counted["requests"] += 1
        self.answer(forwarded(), "")

    def answer(self, status, text):
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass

http.server.ThreadingHTTPServer(("0.0.0.0", int(port)), Handler).serve_forever()
"""

LABEL: Final = "gshare.test/gateway"
SCRAPE_JOB: Final = {
    "job_name": NAME,
    "kubernetes_sd_configs": [{"role": "pod"}],
    "relabel_configs": [
        {
            "source_labels": ["__meta_kubernetes_pod_labelpresent_gshare_test_gateway"],
            "regex": "true",
            "action": "keep",
        }
    ],
}
"""What Prometheus needs to find it."""


def start(scene: Scene, function: str, backend: str) -> str:
    """Start the gateway of one function, and return its URL."""
    scene.create(_pod(f"{function}.{scene.namespace}", backend))
    until(lambda: is_ready(scene.pod(NAME)), f"{NAME} is ready")
    return f"http://{scene.pod(NAME)['status']['podIP']}:{PORT}/"


def _pod(function: str, backend: str) -> Object:
    arguments = [function, backend, str(PORT), str(_PATIENCE_S)]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": NAME, "labels": {LABEL: "true"}},
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "automountServiceAccountToken": False,
            "containers": [
                {
                    "name": "server",
                    "image": images.reference("example-server"),
                    "imagePullPolicy": "Never",
                    "command": ["python3", "-c", _PROGRAM, *arguments],
                    "ports": [{"name": "http", "containerPort": PORT}],
                    "readinessProbe": {
                        "httpGet": {"path": "/metrics", "port": PORT},
                        "periodSeconds": 1,
                    },
                    "resources": {"requests": {"cpu": "50m"}},
                }
            ],
        },
    }
