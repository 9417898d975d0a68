/* What the simulated driver says it is. */
#ifndef GSHARE_SIMGPU_VERSION_H
#define GSHARE_SIMGPU_VERSION_H

#define SIM_DRIVER_VERSION 12090       /* of CUDA, as cuDriverGetVersion answers */
#define SIM_DRIVER_RELEASE "575.57.08" /* of the driver, which came with that CUDA */

#endif
