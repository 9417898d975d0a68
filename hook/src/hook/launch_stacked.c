/* The fast path of launches whose arguments spill to the stack, on x86-64.
 *
 * In C such a call keeps every stack argument in a saved register across the check: six pushes and
 * pops, about 1.5 ns. Here the check needs three scratch registers, and the arguments are copied
 * once, as the call requires. It is gshare_gate_pass and gshare_gate_leave, step by step; x86-64
 * keeps loads in order, and stores in order, so no barrier stands in it.
 *
 * System V ABI: six arguments in registers; above the return address lie bz, shared, stream,
 * params and, for the plain launch, extra. */
#include "hook/launch.h"

#ifdef GSHARE_STACKED_IN_ASSEMBLY

#include <stddef.h>

#include "hook/gate.h"
#include "hook/symbols.h"

_Static_assert(offsetof(struct gshare_lane, busy) == 0, "the code below reads these places");
_Static_assert(offsetof(struct gshare_lane, credit) == 4, "");
_Static_assert(offsetof(struct gshare_lane, stream) == 8, "");
_Static_assert(offsetof(struct gshare_gate, epoch_word) == 0, "");
_Static_assert(offsetof(struct gshare_gate, joined) == 8, "");
_Static_assert(offsetof(struct gshare_driver, cuLaunchKernel) == 0, "");
_Static_assert(offsetof(struct gshare_driver, cuLaunchKernel_ptsz) == 8, "");
_Static_assert(offsetof(struct gshare_driver, cuLaunchCooperativeKernel) == 32, "");
_Static_assert(offsetof(struct gshare_driver, cuLaunchCooperativeKernel_ptsz) == 40, "");

#define LEGACY_STREAM "    movq 24(%rsp), %r11\n"
#define THREAD_STREAM                                                                              \
    "    movq 24(%rsp), %r11\n    movl $2, %r10d\n    testq %r11, %r11\n    cmovzq %r10, %r11\n"
/* Each push moves the next argument to the same distance. At the call the stack is aligned to 16
 * bytes, as at every call: four arguments need a word besides. */
#define COPY_5 "    .rept 5\n    pushq 40(%rsp)\n    .endr\n"
#define COPY_4 "    subq $8, %rsp\n    .rept 4\n    pushq 40(%rsp)\n    .endr\n"
#define DROP "    addq $40, %rsp\n"

#define STACKED(symbol, STREAM, COPY, real)                                                        \
    __asm__(".text\n.p2align 4\n.globl " #symbol "\n.type " #symbol ", @function\n" #symbol ":\n"  \
            "    movq gshare_own_lane@gottpoff(%rip), %rax\n"                                      \
            "    movq %fs:(%rax), %rax\n"                                                          \
            "    movl $1, (%rax)\n" STREAM "    cmpq 8(%rax), %r11\n    jne 1f\n"                  \
            "    leaq gshare_gate(%rip), %r10\n"                                                   \
            "    movq (%r10), %r11\n"                                                              \
            "    movl (%r11), %r11d\n"                                                             \
            "    cmpq 8(%r10), %r11\n    jne 1f\n"                                                 \
            "    movl 4(%rax), %r11d\n    subl $1, %r11d\n    js 1f\n"                             \
            "    movl %r11d, 4(%rax)\n" COPY "    call *" #real "(%rip)\n" DROP                    \
            "    movq gshare_own_lane@gottpoff(%rip), %rdx\n"                                      \
            "    movq %fs:(%rdx), %rdx\n    movl $0, (%rdx)\n    ret\n"                            \
            "1:  jmp gshare_waiting_" #symbol "\n"                                                 \
            ".size " #symbol ", . - " #symbol "\n")

STACKED(cuLaunchKernel, LEGACY_STREAM, COPY_5, gshare_real);
STACKED(cuLaunchKernel_ptsz, THREAD_STREAM, COPY_5, gshare_real + 8);
STACKED(cuLaunchCooperativeKernel, LEGACY_STREAM, COPY_4, gshare_real + 32);
STACKED(cuLaunchCooperativeKernel_ptsz, THREAD_STREAM, COPY_4, gshare_real + 40);

#endif
