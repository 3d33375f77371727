// What the bindings have no function for: how exact libtorch's CUDA kernels are, and whether they add in a fixed order.
#include <ATen/Context.h>

extern "C" void lth_set_up_cuda(bool tf32) {
    at::Context& context = at::globalContext();
    context.setAllowTF32CuBLAS(tf32);
    // libtorch allows it by itself for convolutions.
    context.setAllowTF32CuDNN(tf32);
    // Sums are in float32, whatever the factors.
    context.setAllowBF16ReductionCuBLAS(false);
    context.setDeterministicCuDNN(true);
    // Kernels that are chosen by timing them are others at the next start.
    context.setBenchmarkCuDNN(false);
}
