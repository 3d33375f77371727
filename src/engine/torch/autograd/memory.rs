//! Where the tensors of a trainer lie: in memory that plain loops reach, or not.

use tch::Device;

/// The kind of memory that tensors lie in. It decides between loops on slices and tensor operations, with the same
/// results but for rounding. Tests run the operations for [`Memory::Device`] on the CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Memory {
    /// Plain loops read and write the tensors in place.
    Host,
    /// Only tensor operations reach the tensors, and each copy to the host waits for the device.
    Device,
}

impl Memory {
    /// The memory of `device`.
    pub(super) fn of(device: Device) -> Self {
        if device == Device::Cpu { Self::Host } else { Self::Device }
    }

    /// Images per block of an evaluation of `lanes` networks: on the host few enough that activations stay in the
    /// cache, on a device, in all lanes together, enough to fill it.
    pub(super) fn evaluation_block(self, lanes: usize) -> usize {
        const HOST_IMAGES: usize = 50;
        const DEVICE_IMAGES: usize = 2000;
        match self {
            Self::Host => HOST_IMAGES,
            Self::Device => (DEVICE_IMAGES / lanes).max(HOST_IMAGES),
        }
    }
}
