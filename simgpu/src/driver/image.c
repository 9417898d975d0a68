/* Reads kernels out of what a client loads: PTX text, or a cubin (ELF).
 *
 * A PTX entry may state its cost, in a directive that the real assembler ignores:
 *   .pragma "gshare.simulated sm_demand=19 duration_us=271";
 * and, with error=700, that it ends with a fault.
 */
#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "driver.h"

static const char COST[] = "gshare.simulated ";
enum { MAX_DEMAND_SMS = 65535 };
static const double NS_PER_US = 1000;

CUresult gshare_sim_add_function(struct sim_module *module, const char *name, size_t length) {
    size_t count = module->function_count;
    struct sim_function *grown = realloc(module->functions, (count + 1) * sizeof *grown);

    if (!grown)
        return CUDA_ERROR_OUT_OF_MEMORY;
    module->functions = grown;
    module->functions[count] =
        (struct sim_function){.module = module, .name = strndup(name, length)};
    module->function_count++;
    return module->functions[count].name ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

/* The number after `key=` within [text, end); negative: absent or not a number. */
static double number_after(const char *text, const char *end, const char *key) {
    const char *at = memmem(text, (size_t)(end - text), key, strlen(key));
    char *rest = NULL;

    if (!at)
        return -1;
    double value = strtod(at + strlen(key), &rest);
    return rest > at + strlen(key) && rest <= end ? value : -1;
}

static CUresult read_cost(const char *body, const char *end, struct sim_function *function) {
    const char *cost = memmem(body, (size_t)(end - body), COST, strlen(COST));

    if (!cost)
        return CUDA_SUCCESS;
    const char *quote = memchr(cost, '"', (size_t)(end - cost));
    if (!quote)
        return CUDA_ERROR_INVALID_PTX;
    double demand = number_after(cost, quote, "sm_demand=");
    double duration = number_after(cost, quote, "duration_us=");
    if (demand < 1 || demand > MAX_DEMAND_SMS || duration < 0)
        return CUDA_ERROR_INVALID_PTX;
    double error = number_after(cost, quote, "error=");
    function->error = error > 0 ? (uint32_t)error : 0;
    function->demand_sms = (uint32_t)demand;
    function->duration_ns = (uint64_t)(duration * NS_PER_US + 0.5);
    return CUDA_SUCCESS;
}

/* Bytes of one `.param` of an entry: `.param .u64 name` or `.param .align 8 .b8 name[24]`. */
static uint32_t parameter_bytes(const char *text, const char *end) {
    static const struct {
        const char *type;
        uint32_t bytes;
    } types[] = {{".u64", 8}, {".s64", 8}, {".b64", 8}, {".f64", 8}, {".u32", 4},
                 {".s32", 4}, {".b32", 4}, {".f32", 4}, {".u16", 2}, {".s16", 2},
                 {".b16", 2}, {".f16", 2}, {".u8", 1},  {".s8", 1},  {".b8", 1}};
    const char *bracket = memchr(text, '[', (size_t)(end - text));
    uint32_t count = bracket ? (uint32_t)strtoul(bracket + 1, NULL, 10) : 1;

    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (memmem(text, (size_t)(end - text), types[i].type, strlen(types[i].type)))
            return types[i].bytes * count;
    return 0;
}

static CUresult read_parameters(const char *text, const char *end, struct sim_function *function) {
    static const char PARAM[] = ".param";

    for (const char *at = text; (at = memmem(at, (size_t)(end - at), PARAM, strlen(PARAM)));) {
        at += strlen(PARAM);
        const char *comma = memchr(at, ',', (size_t)(end - at));
        uint32_t *sizes =
            realloc(function->parameter_sizes, (function->parameter_count + 1) * sizeof *sizes);
        if (!sizes)
            return CUDA_ERROR_OUT_OF_MEMORY;
        sizes[function->parameter_count++] = parameter_bytes(at, comma ? comma : end);
        function->parameter_sizes = sizes;
    }
    return CUDA_SUCCESS;
}

/* One entry, from just behind `.entry` to `end`, which is the next entry or the end of the text. */
static CUresult read_entry(const char *text, const char *end, struct sim_module *module) {
    static const char ENDS_NAME[] = " \t\r\n({";
    const char *name = text + strspn(text, " \t\r\n");
    size_t length = strcspn(name, ENDS_NAME);
    const char *body = memchr(name, '{', (size_t)(end - name));

    if (!length || !body)
        return CUDA_ERROR_INVALID_PTX;
    CUresult result = gshare_sim_add_function(module, name, length);
    if (result)
        return result;
    struct sim_function *function = &module->functions[module->function_count - 1];
    result = read_parameters(name + length, body, function);
    return result ? result : read_cost(body, end, function);
}

CUresult gshare_sim_read_ptx(const char *text, struct sim_module *module) {
    static const char ENTRY[] = ".entry";
    const char *at = strstr(text, ENTRY);
    CUresult result = strstr(text, ".version") ? CUDA_SUCCESS : CUDA_ERROR_INVALID_IMAGE;

    while (at && !result) {
        const char *next = strstr(at + strlen(ENTRY), ENTRY);
        const char *end = next ? next : at + strlen(at);
        result = read_entry(at + strlen(ENTRY), end, module);
        at = next;
    }
    return result;
}

/* A cubin holds each kernel in a section .text.NAME. */
static CUresult read_cubin(const char *image, struct sim_module *module) {
    static const char TEXT[] = ".text.";
    const Elf64_Ehdr *header = (const void *)image;
    const Elf64_Shdr *sections = (const void *)(image + header->e_shoff);
    const char *names = image + sections[header->e_shstrndx].sh_offset;
    CUresult result = CUDA_SUCCESS;

    for (unsigned int i = 0; i < header->e_shnum && !result; i++) {
        const char *name = names + sections[i].sh_name;
        if (strncmp(name, TEXT, strlen(TEXT)) == 0)
            result =
                gshare_sim_add_function(module, name + strlen(TEXT), strlen(name) - strlen(TEXT));
    }
    return result;
}

CUresult gshare_sim_read_image(const void *image, struct sim_module *module) {
    if (memcmp(image, ELFMAG, SELFMAG) == 0)
        return read_cubin(image, module);
    return gshare_sim_read_ptx(image, module);
}
