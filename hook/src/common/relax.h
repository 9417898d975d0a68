/* A pause of a thread that spins. */
#ifndef GSHARE_COMMON_RELAX_H
#define GSHARE_COMMON_RELAX_H

static inline void gshare_cpu_relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#else
    __asm__ volatile("yield");
#endif
}

#endif
