// The functions of libtorch's CUDA part for which the Rust bindings have none: flags of its global context, a stream for
// the calling thread, and CUDA graphs.
//
// This program is linked to libtorch's CPU part only, and opens the CUDA part at run time where there is a GPU. The
// functions of the CUDA part are therefore looked up by their names, which belong to the one version of libtorch that
// this program is made for. Their types are declared here, because their headers need those of the CUDA toolkit.

#include <ATen/Context.h>
#include <ATen/DeviceAccelerator.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/Stream.h>
#include <dlfcn.h>

#include <stdexcept>
#include <string>

namespace {

// The only member of c10::cuda::CUDAStream.
struct CudaStream {
    c10::Stream stream;
};

// cudaStreamCaptureModeRelaxed: other threads may use the GPU, and memory may be allocated, during a recording.
enum CaptureMode : int { RELAXED = 2 };

// More bytes than an at::cuda::CUDAGraph has.
constexpr size_t GRAPH_BYTES = 1024;

template <class Function>
Function* find(const char* name) {
    void* address = dlsym(RTLD_DEFAULT, name);
    if (address == nullptr) throw std::runtime_error(std::string("libtorch's CUDA part has no function ") + name);
    return reinterpret_cast<Function*>(address);
}

// Runs `work`; returns the message of its exception, valid until the next call in this thread, or null.
template <class Work>
const char* caught(Work work) {
    static thread_local std::string message;
    try {
        work();
        return nullptr;
    } catch (const std::exception& error) {
        message = error.what();
    } catch (...) {
        message = "an exception without a message";
    }
    return message.c_str();
}

} // namespace

extern "C" {

// Sets the precision of CUDA kernels, and that they add in a fixed order where there are kernels that do.
void lth_set_up_cuda(bool tf32) {
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

// Gives the calling thread a stream other than the default one, in which nothing can be recorded.
const char* lth_use_cuda_stream(int gpu) {
    return caught([&] {
        auto* get = find<CudaStream(bool, c10::DeviceIndex)>("_ZN3c104cuda17getStreamFromPoolEba");
        auto* set = find<void(CudaStream)>("_ZN3c104cuda20setCurrentCUDAStreamENS0_10CUDAStreamE");
        set(get(false, static_cast<c10::DeviceIndex>(gpu)));
    });
}

// Sets `graph` to a new graph, and records what the calling thread queues from now on instead of running it.
const char* lth_begin_cuda_graph(void** graph) {
    *graph = nullptr;
    return caught([&] {
        auto* make = find<void(void*, bool)>("_ZN2at4cuda9CUDAGraphC1Eb");
        auto* begin = find<void(void*, c10::MempoolId_t, CaptureMode)>(
            "_ZN2at4cuda9CUDAGraph13capture_beginESt4pairIyyE21cudaStreamCaptureMode");
        // A graph has its own memory: give back what the steps before the recording have used.
        at::accelerator::emptyCache();
        void* memory = ::operator new(GRAPH_BYTES);
        try {
            make(memory, false);
        } catch (...) {
            ::operator delete(memory);
            throw;
        }
        *graph = memory;
        begin(memory, c10::MempoolId_t{0, 0}, RELAXED);
    });
}

const char* lth_end_cuda_graph(void* graph) {
    return caught([&] { find<void(void*)>("_ZN2at4cuda9CUDAGraph11capture_endEv")(graph); });
}

// Queues the recorded work.
const char* lth_replay_cuda_graph(void* graph) {
    return caught([&] { find<void(void*)>("_ZN2at4cuda9CUDAGraph6replayEv")(graph); });
}

void lth_free_cuda_graph(void* graph) {
    // Nothing can be done about an error here.
    caught([&] { find<void(void*)>("_ZN2at4cuda9CUDAGraphD1Ev")(graph); });
    ::operator delete(graph);
}

} // extern "C"
