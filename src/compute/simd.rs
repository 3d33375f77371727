//! Vectors of 16 numbers on every kind of processor, and the choice between the kinds at run time.
//!
//! Every operation is one that IEEE 754 rounds in one way only, and the order of every sum is fixed here or in the
//! kernels, so all kinds give the same bits. `pulp` hands out a kind only where the processor has it, which is what keeps
//! this file free of unsafe code.

#[cfg(target_arch = "x86_64")]
use pulp::x86::{V3, V4};
use pulp::{Scalar, Simd};

/// Numbers of one vector.
pub(crate) const WIDTH: usize = 16;

/// Arithmetic on 16 numbers at a time.
pub(crate) trait SimdExt: Copy {
    /// 16 numbers, in as many registers as they need.
    type V: Copy;
    /// Four vectors folded into one that has four partial sums of each.
    type Quad: Copy;
    /// Vectors of a running sum that fit into the registers twice, with room for what is multiplied.
    const REGISTER_VECTORS: usize;

    fn splat(self, x: f32) -> Self::V;
    fn load(self, x: &[f32; WIDTH]) -> Self::V;
    fn store(self, x: Self::V, to: &mut [f32; WIDTH]);
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    /// a·b + c, rounded once.
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;

    /// x, or 0 where x < 0; NaN passes: a network that diverges must be seen to.
    fn relu(self, x: Self::V) -> Self::V;
    /// x, or 0 where `by` is not positive.
    fn gate(self, x: Self::V, by: Self::V) -> Self::V;
    /// Swaps rows and columns.
    #[inline(always)]
    fn transpose(self, rows: &[[u64; 8]; 8]) -> [[u64; 8]; 8] {
        std::array::from_fn(|row| std::array::from_fn(|column| rows[column][row]))
    }

    /// The first half of four sums over 16 numbers, the same for every kind: the upper half is added to the lower, then
    /// again; `sums` and `four_sums` go on so until one number is left.
    fn reduce(self, of: [Self::V; 4]) -> Self::Quad;
    /// The second half, of 16 sums; `quads[i]` is of the vectors i, i + 4, i + 8 and i + 12.
    fn sums(self, quads: [Self::Quad; 4]) -> Self::V;
    /// The second half, of four sums.
    fn four_sums(self, quad: Self::Quad) -> [f32; 4];
}

/// What `pulp` has for all kinds; a vector takes so many registers.
macro_rules! arithmetic {
    ($simd:ty, $registers:literal) => {
        type V = [<$simd as Simd>::f32s; $registers];
        #[inline(always)]
        fn splat(self, x: f32) -> Self::V {
            [self.splat_f32s(x); $registers]
        }
        #[inline(always)]
        fn load(self, x: &[f32; WIDTH]) -> Self::V {
            pulp::cast(*x)
        }
        #[inline(always)]
        fn store(self, x: Self::V, to: &mut [f32; WIDTH]) {
            *to = pulp::cast(x);
        }
        #[inline(always)]
        fn add(self, a: Self::V, b: Self::V) -> Self::V {
            std::array::from_fn(|i| self.add_f32s(a[i], b[i]))
        }
        #[inline(always)]
        fn mul(self, a: Self::V, b: Self::V) -> Self::V {
            std::array::from_fn(|i| self.mul_f32s(a[i], b[i]))
        }
        #[inline(always)]
        fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
            std::array::from_fn(|i| self.mul_add_f32s(a[i], b[i], c[i]))
        }
        #[inline(always)]
        fn relu(self, x: Self::V) -> Self::V {
            let zero = self.splat_f32s(0.0);
            std::array::from_fn(|i| self.select_f32s(self.less_than_f32s(x[i], zero), zero, x[i]))
        }
        #[inline(always)]
        fn gate(self, x: Self::V, by: Self::V) -> Self::V {
            let zero = self.splat_f32s(0.0);
            std::array::from_fn(|i| self.select_f32s(self.greater_than_f32s(by[i], zero), x[i], zero))
        }
    };
}

/// For kinds whose `reduce` goes to the end at once.
macro_rules! reduced_at_once {
    () => {
        type Quad = [f32; 4];
        #[inline(always)]
        fn sums(self, quads: [[f32; 4]; 4]) -> Self::V {
            pulp::cast::<[f32; WIDTH], _>(std::array::from_fn(|k| quads[k % 4][k / 4]))
        }
        #[inline(always)]
        fn four_sums(self, quad: [f32; 4]) -> [f32; 4] {
            quad
        }
    };
}

/// `reduce` by plain additions.
macro_rules! plain_reduce {
    () => {
        #[inline(always)]
        fn reduce(self, of: [Self::V; 4]) -> [f32; 4] {
            of.map(|x| {
                let x: [f32; WIDTH] = pulp::cast(x);
                let eight: [f32; 8] = std::array::from_fn(|i| x[i] + x[i + 8]);
                let four: [f32; 4] = std::array::from_fn(|i| eight[i] + eight[i + 4]);
                (four[0] + four[2]) + (four[1] + four[3])
            })
        }
    };
}

impl SimdExt for Scalar {
    const REGISTER_VECTORS: usize = 1;
    arithmetic!(Scalar, 16);
    reduced_at_once!();
    plain_reduce!();
}

#[cfg(target_arch = "aarch64")]
impl SimdExt for pulp::aarch64::Neon {
    const REGISTER_VECTORS: usize = 2;
    arithmetic!(pulp::aarch64::Neon, 4);
    reduced_at_once!();
    plain_reduce!();
}

#[cfg(target_arch = "x86_64")]
mod x86;

/// A kind of processor.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SimdLevel {
    /// x86-64 with AVX-512 (level v4).
    #[cfg(target_arch = "x86_64")]
    Avx512(V4),
    /// x86-64 with AVX2 and FMA (level v3).
    #[cfg(target_arch = "x86_64")]
    Avx2(V3),
    /// 64-bit ARM.
    #[cfg(target_arch = "aarch64")]
    Neon(pulp::aarch64::Neon),
    /// Any.
    Scalar,
}

/// Work that is compiled once for each kind of processor.
pub(crate) trait Kernel {
    /// Does it; must be inlined, as all it calls.
    fn run<S: SimdExt>(self, simd: S);
}

struct BoundKernel<K, S>(K, S);

impl<K: Kernel, S: SimdExt> pulp::NullaryFnOnce for BoundKernel<K, S> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        self.0.run(self.1);
    }
}

impl SimdLevel {
    /// What the processor at hand can do, the fastest first.
    pub(crate) fn all() -> Vec<Self> {
        let mut all = Vec::new();
        #[cfg(target_arch = "x86_64")]
        all.extend(V4::try_new().map(Self::Avx512).into_iter().chain(V3::try_new().map(Self::Avx2)));
        #[cfg(target_arch = "aarch64")]
        all.extend(pulp::aarch64::Neon::try_new().map(Self::Neon));
        all.push(Self::Scalar);
        all
    }

    /// The fastest.
    pub(crate) fn best() -> Self {
        Self::all().into_iter().next().unwrap_or(Self::Scalar)
    }

    /// Does `kernel` on this kind of processor.
    #[inline]
    pub(crate) fn run(self, kernel: impl Kernel) {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(simd) => simd.vectorize(BoundKernel(kernel, simd)),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(simd) => simd.vectorize(BoundKernel(kernel, simd)),
            #[cfg(target_arch = "aarch64")]
            Self::Neon(simd) => simd.vectorize(BoundKernel(kernel, simd)),
            Self::Scalar => kernel.run(Scalar),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Sums<'a>(&'a [[f32; WIDTH]; WIDTH], &'a mut [f32; WIDTH], &'a mut [f32; WIDTH]);

    impl Kernel for Sums<'_> {
        #[inline(always)]
        fn run<S: SimdExt>(self, simd: S) {
            let x = self.0;
            let quad = |[a, b, c, d]: [usize; 4]| {
                simd.reduce([simd.load(&x[a]), simd.load(&x[b]), simd.load(&x[c]), simd.load(&x[d])])
            };
            let quads = [quad([0, 4, 8, 12]), quad([1, 5, 9, 13]), quad([2, 6, 10, 14]), quad([3, 7, 11, 15])];
            simd.store(simd.sums(quads), self.1);
            for (four, sums) in self.2.as_chunks_mut::<4>().0.iter_mut().enumerate() {
                *sums = simd.four_sums(quad(std::array::from_fn(|i| 4 * four + i)));
            }
        }
    }

    #[test]
    fn sums_are_in_their_places_and_equal_to_the_bit_on_every_path() {
        // Small whole numbers: exact in any order.
        let x: [[f32; WIDTH]; WIDTH] = std::array::from_fn(|k| std::array::from_fn(|i| ((k * 31 + i * i) % 97) as f32));
        let exact: [f32; WIDTH] = x.map(|x| x.iter().sum());
        // And numbers whose sum depends on the order.
        let y = x.map(|x| x.map(|v| (v + 0.1).sqrt() / 3.0));
        let mut bits = Vec::new();
        for path in SimdLevel::all() {
            let (mut sixteen, mut four) = ([0.0; WIDTH], [0.0; WIDTH]);
            path.run(Sums(&x, &mut sixteen, &mut four));
            assert_eq!((sixteen, four), (exact, exact), "{path:?}");
            path.run(Sums(&y, &mut sixteen, &mut four));
            assert_eq!(sixteen, four, "{path:?}");
            bits.push(sixteen.map(f32::to_bits));
        }
        assert!(bits.iter().all(|these| these == &bits[0]));
    }
}
