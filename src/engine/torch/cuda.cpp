// The functions of libtorch's CUDA part for which the Rust bindings have none: flags of its global context, a stream for
// each thread, and CUDA graphs.
//
// This program is linked to libtorch's CPU part only, and opens the CUDA part at run time where there is a GPU. The
// functions of the CUDA part are therefore looked up by their names, which belong to the one version of libtorch that
// this program is made for. Their types are declared here, because their headers need those of the CUDA toolkit.
//
// Functions return the message of an exception, valid until the next call in the thread, or null if all went well.

#include <ATen/Context.h>
#include <ATen/DeviceAccelerator.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/Stream.h>
#include <dlfcn.h>

#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

// The only member of c10::cuda::CUDAStream.
struct CudaStream {
    c10::Stream stream;
};

// cudaStreamCaptureModeRelaxed: no CUDA call is forbidden in any thread during a recording, not even an allocation.
enum CaptureMode : int { RELAXED = 2 };

// More bytes than an at::cuda::CUDAGraph has.
constexpr size_t GRAPH_BYTES = 1024;

// The number of streams per GPU between which c10::cuda::getStreamFromPool alternates.
constexpr size_t STREAMS_PER_GPU = 32;

template <class Function>
Function* find(const char* name) {
    void* address = dlsym(RTLD_DEFAULT, name);
    if (address == nullptr) throw std::runtime_error(std::string("this libtorch has no function ") + name);
    return reinterpret_cast<Function*>(address);
}

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

// Held while a graph is made, ended or freed: libtorch lists the graphs of a GPU without a lock of its own.
std::mutex graphs;

// The streams of each GPU: those handed out so far, and those among them that no thread uses any more.
struct Streams {
    std::mutex mutex;
    std::map<int, size_t> made;
    std::map<int, std::vector<c10::Stream>> idle;
};

// Never destroyed: threads give back their streams until the program ends.
Streams& streams() {
    static Streams* streams = new Streams;
    return *streams;
}

// The streams of a thread, one per GPU; given back when the thread ends.
struct ThreadStreams {
    std::map<int, c10::Stream> by_gpu;

    ~ThreadStreams() {
        std::lock_guard<std::mutex> guard(streams().mutex);
        for (auto& [gpu, stream] : by_gpu) streams().idle[gpu].push_back(stream);
    }
};

c10::Stream take_stream(int gpu) {
    std::lock_guard<std::mutex> guard(streams().mutex);
    auto& idle = streams().idle[gpu];
    if (!idle.empty()) {
        c10::Stream stream = idle.back();
        idle.pop_back();
        return stream;
    }
    if (streams().made[gpu] == STREAMS_PER_GPU) throw std::runtime_error("more than 32 threads use one GPU");
    auto* get = find<CudaStream(bool, c10::DeviceIndex)>("_ZN3c104cuda17getStreamFromPoolEba");
    c10::Stream stream = get(false, static_cast<c10::DeviceIndex>(gpu)).stream;
    ++streams().made[gpu];
    return stream;
}

} // namespace

extern "C" {

// Sets the precision of CUDA kernels, and that they add in a fixed order where there are kernels that do. The flags are
// those of the whole process.
const char* lth_set_up_cuda(bool tf32) {
    return caught([&] {
        at::Context& context = at::globalContext();
        context.setAllowTF32CuBLAS(tf32);
        // libtorch's default is true: convolutions would use TF32.
        context.setAllowTF32CuDNN(tf32);
        // Sums of products of bfloat16 numbers are in float32.
        context.setAllowBF16ReductionCuBLAS(false);
        context.setDeterministicCuDNN(true);
        // With benchmarking, cuDNN chooses kernels by timing them, and may choose others at the next start.
        context.setBenchmarkCuDNN(false);
    });
}

// Makes `gpu` the current GPU of the calling thread, and gives the thread a stream on it that no other thread has.
// Nothing can be recorded in the default stream.
const char* lth_use_cuda_stream(int gpu) {
    return caught([&] {
        static thread_local ThreadStreams own;
        at::accelerator::setDeviceIndex(static_cast<c10::DeviceIndex>(gpu));
        auto found = own.by_gpu.find(gpu);
        if (found == own.by_gpu.end()) found = own.by_gpu.emplace(gpu, take_stream(gpu)).first;
        find<void(CudaStream)>("_ZN3c104cuda20setCurrentCUDAStreamENS0_10CUDAStreamE")(CudaStream{found->second});
    });
}

// Sets `graph` to a new graph, or to null if none was made; then records what the calling thread queues from now on
// instead of running it.
const char* lth_begin_cuda_graph(void** graph) {
    *graph = nullptr;
    return caught([&] {
        auto* make = find<void(void*, bool)>("_ZN2at4cuda9CUDAGraphC1Eb");
        auto* begin = find<void(void*, c10::MempoolId_t, CaptureMode)>(
            "_ZN2at4cuda9CUDAGraph13capture_beginESt4pairIyyE21cudaStreamCaptureMode");
        // Needed later, when nothing can be done about its absence.
        find<void(void*)>("_ZN2at4cuda9CUDAGraphD1Ev");
        std::lock_guard<std::mutex> guard(graphs);
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
    return caught([&] {
        std::lock_guard<std::mutex> guard(graphs);
        find<void(void*)>("_ZN2at4cuda9CUDAGraph11capture_endEv")(graph);
    });
}

// Queues the recorded work.
const char* lth_replay_cuda_graph(void* graph) {
    return caught([&] {
        static auto* replay = find<void(void*)>("_ZN2at4cuda9CUDAGraph6replayEv");
        replay(graph);
    });
}

// Frees a graph whose recording has begun and ended without error. The destructor throws nothing.
void lth_free_cuda_graph(void* graph) {
    std::lock_guard<std::mutex> guard(graphs);
    find<void(void*)>("_ZN2at4cuda9CUDAGraphD1Ev")(graph);
    ::operator delete(graph);
}

// Gives the memory that libtorch holds for later tensors back to the GPUs. Waits for them.
const char* lth_empty_cuda_cache() {
    return caught([] { at::accelerator::emptyCache(); });
}

} // extern "C"
