//! The kind of memory that a trainer's tensors are in: memory that plain loops can access, or not.

use tch::Device;

/// The kind of memory that tensors are in. The trainer uses loops on slices for one and tensor operations for the
/// other, with the same results except for rounding. Tests run the operations for [`Memory::Device`] on the CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Memory {
    /// Memory that plain loops read and write in place.
    Host,
    /// Memory that only tensor operations can access; each copy to the host waits for the device.
    Device,
}

impl Memory {
    /// Returns the kind of memory of `device`.
    pub(super) fn of(device: Device) -> Self {
        if device == Device::Cpu { Self::Host } else { Self::Device }
    }

    /// Returns the number of images that an evaluation of `lanes` networks processes at a time: on the host few enough
    /// that activations stay in the cache, on a device enough in all lanes together to keep it busy.
    pub(super) fn evaluation_block(self, lanes: usize) -> usize {
        const HOST_IMAGES: usize = 50;
        const DEVICE_IMAGES: usize = 2000;
        match self {
            Self::Host => HOST_IMAGES,
            Self::Device => (DEVICE_IMAGES / lanes).max(HOST_IMAGES),
        }
    }
}
