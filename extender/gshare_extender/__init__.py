"""The scheduler extender: filter, prioritize, bind and preemption for kube-scheduler."""
