"""What replicas save by sharing weights, and what the store takes for itself."""

from gshare_cli.sharing import Mapped, gpu_line, saved_bytes

MIB = 2**20
VIT, BERT = "team/vit", "shared/bert"


def mapped(*sizes_mib, model=VIT):
    return {
        f"{model}-{index}": Mapped(model, None if size is None else size * MIB)
        for index, size in enumerate(sizes_mib)
    }


def test_replicas_of_a_model_save_all_but_one_copy():
    found = saved_bytes(mapped(1200, 1200, 1200), {VIT: 1200 * MIB})

    assert sum(found.values()) == 2 * 1200 * MIB
    assert set(found.values()) == {800 * MIB}


def test_the_first_replica_saves_nothing():
    assert saved_bytes(mapped(1200), {VIT: 1200 * MIB}) == {"team/vit-0": 0}


def test_each_model_is_a_copy_of_its_own():
    both = mapped(100, 100) | mapped(60, 60, 60, model=BERT)

    found = saved_bytes(both, {VIT: 100 * MIB, BERT: 60 * MIB})

    assert found["team/vit-0"] == 50 * MIB
    assert found["shared/bert-2"] == 40 * MIB


def test_a_replica_that_has_not_mapped_its_weights_takes_no_part():
    found = saved_bytes(mapped(100, 100, 0), {VIT: 100 * MIB})

    assert list(found.values()) == [50 * MIB, 50 * MIB, 0]


def test_weights_that_the_store_forgot_are_still_one_copy():
    assert list(saved_bytes(mapped(100, 100), {}).values()) == [50 * MIB, 50 * MIB]


def test_memory_of_another_process_than_the_store_is_no_saving():
    found = saved_bytes({"a": Mapped(None, 5), "b": Mapped(None, 0), "c": Mapped(VIT, None)}, {})

    assert found == {"a": None, "b": 0, "c": None}


def test_a_gpus_line_sets_the_stores_own_memory_off():
    many = mapped(*[1200] * 6).values()
    resident = {VIT: 1200 * MIB}

    assert gpu_line("GPU 0", many, resident, 300 * MIB) == (
        "GPU 0: the model store keeps 1.2Gi once and 300Mi for itself, "
        "6 replicas map 7Gi of it: it saves 5.6Gi"
    )
    assert gpu_line("GPU 0", mapped(1200).values(), resident, 300 * MIB).endswith(
        "1 replica maps 1.2Gi of it: it takes more than it saves yet, by 300Mi"
    )


def test_a_gpu_whose_store_keeps_nothing_has_no_line():
    assert gpu_line("GPU 0", mapped(0).values(), {VIT: MIB}, 300 * MIB) == ""
    assert gpu_line("GPU 0", mapped(1200).values(), {}, 300 * MIB) == ""
