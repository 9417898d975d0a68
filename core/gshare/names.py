"""Every name that a cluster, a container or a user sees, in one place."""

from typing import Final

DOMAIN: Final = "gshare.io"

# Extended resources: whole percents, 1-100 per container.
RESOURCE_SM: Final = f"{DOMAIN}/vgpu-sm"
RESOURCE_QUOTA: Final = f"{DOMAIN}/vgpu-quota"
RESOURCES: Final = (RESOURCE_SM, RESOURCE_QUOTA)

# Annotations and labels that users write.
ANNOTATION_QUOTA_REQUEST: Final = f"{DOMAIN}/quota-request"
ANNOTATION_QUOTA_LIMIT: Final = f"{DOMAIN}/quota-limit"
ANNOTATION_GPU_MEM: Final = f"{DOMAIN}/gpu-mem"
ANNOTATION_HOOK: Final = f"{DOMAIN}/hook"
ANNOTATION_POLICY: Final = f"{DOMAIN}/policy"
ANNOTATION_MODEL: Final = f"{DOMAIN}/model"
LABEL_FUNCTION: Final = f"{DOMAIN}/function"
# Tells the pods of a function's Deployments apart, so that no selector takes another's: "s12-q40".
LABEL_SHAPE: Final = f"{DOMAIN}/shape"

# What a Deployment of a function says of its scaling: the objective for p99 ("69ms"), PromQL of
# the offered rate, `exact` or `rpr`, for how long a lower rate is no reason to shrink ("300s").
ANNOTATION_SLO: Final = f"{DOMAIN}/slo"
ANNOTATION_RATE_QUERY: Final = f"{DOMAIN}/rate-query"
ANNOTATION_SCALING_POLICY: Final = f"{DOMAIN}/scaling-policy"
ANNOTATION_SCALE_DOWN_WINDOW: Final = f"{DOMAIN}/scale-down-window"
# The rate query where none is named: arrivals, as the function's own pods count them.
RATE_QUERY_DEFAULT: Final = "gshare"
# The request of one inference, for `gshare profile`: "POST /infer", or a mapping.
ANNOTATION_PROFILE_REQUEST: Final = f"{DOMAIN}/profile-request"
# A ConfigMap with a profile has this label, "true", beside LABEL_FUNCTION; its keys. The last
# three stand for the annotations of the same names, wherever a Deployment has none.
LABEL_PROFILE: Final = f"{DOMAIN}/profile"
KEY_PROFILE: Final = "profile.json"
KEY_SLO: Final = "slo"
KEY_RATE_QUERY: Final = "rate-query"
KEY_SCALING_POLICY: Final = "scaling-policy"

# How a container's calls reach the hook: values of `gshare.io/hook`.
HOOK_PRELOAD: Final = "preload"
HOOK_SHIM: Final = "shim"
HOOKS: Final = (HOOK_PRELOAD, HOOK_SHIM)

# Annotations that gshare writes.
ANNOTATION_PLACEMENT: Final = f"{DOMAIN}/placement"
ANNOTATION_GPUS: Final = f"{DOMAIN}/gpus"
ANNOTATION_IN_FORCE: Final = f"{DOMAIN}/in-force"
ANNOTATION_FREED: Final = f"{DOMAIN}/freed"
ANNOTATION_RESIDENT: Final = f"{DOMAIN}/resident"
# Read by the ReplicaSet controller: of several pods the one of the lowest cost goes first.
ANNOTATION_DELETION_COST: Final = "controller.kubernetes.io/pod-deletion-cost"

# What stands in a cluster: namespace, parts, the second scheduler's name.
NAMESPACE: Final = "gshare-system"
PART_NODE_AGENT: Final = "gshare-node-agent"
PART_EXTENDER: Final = "gshare-extender"
PART_AUTOSCALER: Final = "gshare-autoscaler"
SCHEDULER: Final = "gshare-scheduler"

# The device that `Allocate` names: `gshare.io/lease=<digest>`.
CDI_KIND: Final = f"{DOMAIN}/lease"
# Where a container finds its lease's pages and socket.
CONTAINER_LEASE_DIR: Final = "/run/gshare/lease"

# Environment of a container that holds a lease.
ENV_LEASE_DIR: Final = "GSHARE_LEASE_DIR"
ENV_PRELOAD: Final = "LD_PRELOAD"
ENV_VISIBLE_DEVICES: Final = "CUDA_VISIBLE_DEVICES"
ENV_MPS_PERCENTAGE: Final = "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE"
ENV_MPS_MEMORY_LIMIT: Final = "CUDA_MPS_PINNED_DEVICE_MEM_LIMIT"
ENV_MPS_PIPE_DIRECTORY: Final = "CUDA_MPS_PIPE_DIRECTORY"

# Environment that gshare's own programs read.
ENV_STATE_DIR: Final = "GSHARE_STATE_DIR"
ENV_NATIVE_DIR: Final = "GSHARE_NATIVE_DIR"
ENV_SIMGPU_DIR: Final = "GSHARE_SIMGPU_DIR"
ENV_SIMGPU_LABEL: Final = "GSHARE_SIMGPU_LABEL"
ENV_RUN_ID: Final = "GSHARE_RUN_ID"
ENV_SIMULATE: Final = "GSHARE_SIMULATE"
ENV_TIME_SCALE: Final = "GSHARE_TIME_SCALE"
ENV_NODE_NAME: Final = "GSHARE_NODE_NAME"
ENV_HOOK: Final = "GSHARE_HOOK"
# A model store's socket, for a program that holds no lease; in a container the lease's is used.
ENV_STORE_SOCKET: Final = "GSHARE_STORE_SOCKET"
ENV_HOST_ROOT: Final = "GSHARE_HOST_ROOT"
ENV_MODEL_STORE: Final = "GSHARE_MODEL_STORE"

# Where metrics, /healthz and /readyz are served.
PORT_EXTENDER_METRICS: Final = 10481
PORT_NODE_AGENT_METRICS: Final = 10482
PORT_AUTOSCALER_METRICS: Final = 10483
# The autoscaler's two other doors: custom.metrics.k8s.io (TLS) and KEDA's external scaler (gRPC).
PORT_AUTOSCALER_API: Final = 10484
PORT_AUTOSCALER_KEDA: Final = 10485

# How many replicas a Deployment of a function should have: the Object metric that HPAs read, the
# gauge (labels namespace, deployment, function) and KEDA's metric. One number, three doors.
METRIC_DESIRED_REPLICAS: Final = "gshare_desired_replicas"
# Requests that arrived at a function, counted on arrival; labels namespace, function.
METRIC_FUNCTION_REQUESTS: Final = "gshare_function_requests_total"

# Metrics of the node agent that other parts read. A lease's labels: namespace, pod, container,
# gpu (UUID), lease; a GPU's: gpu, model. On simulated GPUs the times are the simulator's own.
METRIC_LEASE_GPU_SECONDS: Final = "gshare_lease_gpu_seconds_total"
METRIC_LEASE_MEMORY_BYTES: Final = "gshare_lease_memory_bytes"
# What it maps of other processes' memory, such as its model store's weights: not in the above.
METRIC_LEASE_SHARED_BYTES: Final = "gshare_lease_shared_bytes"
METRIC_LEASE_QUOTA_REQUEST: Final = "gshare_lease_quota_request_ratio"
METRIC_LEASE_QUOTA_LIMIT: Final = "gshare_lease_quota_limit_ratio"
METRIC_GPU_CLOCK_SECONDS: Final = "gshare_gpu_clock_seconds_total"
METRIC_GPU_SM_COUNT: Final = "gshare_gpu_sms"
METRIC_GPU_BUSY_SECONDS: Final = "gshare_gpu_busy_seconds_total"
METRIC_GPU_SM_SECONDS: Final = "gshare_gpu_sm_seconds_total"
METRIC_GPU_MAX_CONCURRENT_SM: Final = "gshare_gpu_max_concurrent_sm_ratio"
# Weights that a GPU's model store keeps on it; labels gpu and name, as in the Node's annotation.
METRIC_STORE_RESIDENT_BYTES: Final = "gshare_store_resident_bytes"
# What a GPU's model store may keep on it for the leases of now; label gpu.
METRIC_STORE_BUDGET_BYTES: Final = "gshare_store_budget_bytes"

# Files of one GPU's directory (made by the node, served by the token daemon).
FILE_TIMETABLE: Final = "timetable"
FILE_CONTROL_SOCKET: Final = "control.sock"
FOLDER_LEASES: Final = "leases"
# What the node tells the GPU's model store of its memory, and what the store tells of its weights.
FILE_STORE_BUDGET: Final = "store-budget.json"
FILE_RESIDENT: Final = "resident.json"
# Held by the GPU's model store for as long as it lives.
FILE_STORE_LOCK: Final = "store.lock"
# Files of one lease's directory.
FILE_LIMITS: Final = "limits"
FILE_GRANT: Final = "grant"
FILE_COUNTERS: Final = "counters"
FILE_TOKEN_SOCKET: Final = "token.sock"  # noqa: S105 (a file name)
# Who the lease's container is to the model store, and where it is asked.
FILE_IDENTITY: Final = "identity.json"
FILE_STORE_SOCKET: Final = "store.sock"
