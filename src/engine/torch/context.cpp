// Sets the flags of libtorch's global context for which the Rust bindings have no function: the precision of CUDA
// kernels, and whether they add in a fixed order.
#include <ATen/Context.h>

extern "C" void lth_set_up_cuda(bool tf32) {
    at::Context& context = at::globalContext();
    context.setAllowTF32CuBLAS(tf32);
    // libtorch's default is true: convolutions would use TF32.
    context.setAllowTF32CuDNN(tf32);
    // Sums of products of bfloat16 numbers are in float32.
    context.setAllowBF16ReductionCuBLAS(false);
    context.setDeterministicCuDNN(true);
    // With benchmarking, cuDNN chooses kernels by timing them, and may choose others at the next start.
    context.setBenchmarkCuDNN(false);
}
