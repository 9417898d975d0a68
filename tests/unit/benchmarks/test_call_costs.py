"""What the hook adds to a call, told from rounds that the host disturbs."""

from benchmarks.hook.calls import ROUNDS, CallCost, claims


def rounds(*leasts):
    return [ns + noise for ns in leasts for noise in range(ROUNDS)]


def cost(call, bare, hooked):
    return CallCost(call, "direct", "null", rounds(*bare), rounds(*hooked))


def test_a_repeat_in_which_the_core_ran_faster_does_not_count_for_the_hook():
    found = cost("cuLaunchKernel", bare=(4.0, 2.0, 4.0), hooked=(5.5, 5.5, 5.5))

    assert found.added_least_ns == 1.5


def test_the_worst_call_of_a_kind_is_judged():
    costs = [
        cost("cuLaunchKernel", (4.0,), (5.0,)),
        cost("cuLaunchKernelEx", (4.0,), (8.0,)),
        cost("cuMemsetD8Async", (4.0,), (5.0,)),
        cost("cuMemAlloc+cuMemFree_64KiB", (100.0,), (110.0,)),
    ]

    launch, copy, allocation = claims(costs)

    assert (launch.value, launch.holds) == (4.0, False)
    assert (copy.value, copy.holds) == (1.0, True)
    assert (allocation.value, allocation.holds) == (10.0, True)
