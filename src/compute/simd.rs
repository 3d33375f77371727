//! Vectors of 16 numbers for each instruction set, and the choice of the instruction set at run time.
//!
//! IEEE 754 defines the rounding of every operation used here, and the order of every sum is fixed here or in the
//! kernels, so all instruction sets give the same bits. A computation is a [`Kernel`]; [`SimdLevel::run`] compiles it
//! for each instruction set and runs it with the token of one of them, a value that `pulp` returns only if the
//! processor has the instruction set. The tokens keep this file free of unsafe code.

#[cfg(target_arch = "x86_64")]
use pulp::x86::{V3, V4};
use pulp::{Scalar, Simd};

/// The length of a vector in numbers.
pub(crate) const WIDTH: usize = 16;

/// Arithmetic on vectors of 16 numbers, implemented by the token of each instruction set.
pub(crate) trait Vector16: Copy {
    /// A vector of 16 numbers, in one or more registers.
    type V: Copy;
    /// The sums over the numbers of four vectors, complete or partial; only [`Vector16::sums`] and
    /// [`Vector16::four_sums`] read them.
    type Quad: Copy;
    /// The number of vectors that a kernel processes at once, 1, 2 or 4: two accumulators for each of them, plus the
    /// operands, fit into the registers.
    const REGISTER_VECTORS: usize;

    /// Returns a vector whose numbers are all `x`.
    fn splat(self, x: f32) -> Self::V;
    /// Returns the vector of `x`.
    fn load(self, x: &[f32; WIDTH]) -> Self::V;
    /// Writes the numbers of `x` to `to`.
    fn store(self, x: Self::V, to: &mut [f32; WIDTH]);
    /// Returns a + b.
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    /// Returns a·b.
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    /// Returns a·b + c, rounded once.
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;

    /// Returns max(x, 0) of each number. NaN stays, so that divergence is detected.
    fn max_zero(self, x: Self::V) -> Self::V;
    /// Returns x where `condition` > 0, else 0 (also where `condition` is NaN).
    fn zero_where_not_positive(self, x: Self::V, condition: Self::V) -> Self::V;
    /// Returns the transpose of an 8 × 8 matrix of 64-bit words.
    #[inline(always)]
    fn transpose(self, rows: &[[u64; 8]; 8]) -> [[u64; 8]; 8] {
        std::array::from_fn(|row| std::array::from_fn(|column| rows[column][row]))
    }

    /// Begins the sum over the 16 numbers of each of four vectors; [`Vector16::sums`] or [`Vector16::four_sums`]
    /// finishes it.
    ///
    /// Every instruction set adds the halves of a vector x in the same order: `a = x[0..8] + x[8..16]`, then
    /// `b = a[0..4] + a[4..8]`, then `c = b[0..2] + b[2..4]`, then `c[0] + c[1]`. How many of these additions `reduce`
    /// does depends on the instruction set.
    fn reduce(self, vectors: [Self::V; 4]) -> Self::Quad;
    /// Finishes 16 sums and returns the sums of the vectors 0 to 15 in order; `quads[i]` is the result of
    /// [`Vector16::reduce`] for the vectors i, i + 4, i + 8 and i + 12.
    fn sums(self, quads: [Self::Quad; 4]) -> Self::V;
    /// Finishes four sums and returns them in the order of the vectors given to [`Vector16::reduce`].
    fn four_sums(self, quad: Self::Quad) -> [f32; 4];
}

/// The operations that `pulp` has for every instruction set; a vector takes `$registers` registers.
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
        fn max_zero(self, x: Self::V) -> Self::V {
            let zero = self.splat_f32s(0.0);
            std::array::from_fn(|i| self.select_f32s(self.less_than_f32s(x[i], zero), zero, x[i]))
        }
        #[inline(always)]
        fn zero_where_not_positive(self, x: Self::V, condition: Self::V) -> Self::V {
            let zero = self.splat_f32s(0.0);
            std::array::from_fn(|i| self.select_f32s(self.greater_than_f32s(condition[i], zero), x[i], zero))
        }
    };
}

/// `sums` and `four_sums` for instruction sets whose `reduce` returns complete sums: they only bring them into order.
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

/// `reduce` by additions of single numbers, for instruction sets without a faster way. Returns complete sums.
macro_rules! plain_reduce {
    () => {
        #[inline(always)]
        fn reduce(self, vectors: [Self::V; 4]) -> [f32; 4] {
            vectors.map(|x| {
                let x: [f32; WIDTH] = pulp::cast(x);
                let eight: [f32; 8] = std::array::from_fn(|i| x[i] + x[i + 8]);
                let four: [f32; 4] = std::array::from_fn(|i| eight[i] + eight[i + 4]);
                (four[0] + four[2]) + (four[1] + four[3])
            })
        }
    };
}

impl Vector16 for Scalar {
    const REGISTER_VECTORS: usize = 1;
    arithmetic!(Scalar, 16);
    reduced_at_once!();
    plain_reduce!();
}

#[cfg(target_arch = "aarch64")]
impl Vector16 for pulp::aarch64::Neon {
    const REGISTER_VECTORS: usize = 2;
    arithmetic!(pulp::aarch64::Neon, 4);
    reduced_at_once!();
    plain_reduce!();
}

#[cfg(target_arch = "x86_64")]
mod x86;

/// An instruction set of the processor.
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
    /// No vector instructions: any processor.
    Scalar,
}

/// A computation that is compiled once for each instruction set.
pub(crate) trait Kernel {
    /// Runs the computation with the token of an instruction set. Implementations must be `#[inline(always)]`, as must
    /// every function that they call: a function that is not inlined is compiled without the instruction set.
    fn run<S: Vector16>(self, simd: S);
}

/// A kernel with the token of an instruction set: the form in which `pulp` takes a computation.
struct BoundKernel<K, S>(K, S);

impl<K: Kernel, S: Vector16> pulp::NullaryFnOnce for BoundKernel<K, S> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        self.0.run(self.1);
    }
}

impl SimdLevel {
    /// Returns the instruction sets of this processor, fastest first.
    pub(crate) fn all() -> Vec<Self> {
        let mut levels = Vec::new();
        #[cfg(target_arch = "x86_64")]
        levels.extend(V4::try_new().map(Self::Avx512).into_iter().chain(V3::try_new().map(Self::Avx2)));
        #[cfg(target_arch = "aarch64")]
        levels.extend(pulp::aarch64::Neon::try_new().map(Self::Neon));
        levels.push(Self::Scalar);
        levels
    }

    /// Returns the fastest instruction set of this processor.
    pub(crate) fn best() -> Self {
        Self::all().into_iter().next().unwrap_or(Self::Scalar)
    }

    /// Runs `kernel` with this instruction set.
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

    /// Sums each of 16 vectors, in both ways.
    struct SumsKernel<'a> {
        vectors: &'a [[f32; WIDTH]; WIDTH],
        /// The results of [`Vector16::sums`].
        sixteen: &'a mut [f32; WIDTH],
        /// The results of [`Vector16::four_sums`], four vectors at a time.
        fours: &'a mut [f32; WIDTH],
    }

    impl Kernel for SumsKernel<'_> {
        #[inline(always)]
        fn run<S: Vector16>(self, simd: S) {
            let x = self.vectors;
            let quad = |[a, b, c, d]: [usize; 4]| {
                simd.reduce([simd.load(&x[a]), simd.load(&x[b]), simd.load(&x[c]), simd.load(&x[d])])
            };
            let quads = [quad([0, 4, 8, 12]), quad([1, 5, 9, 13]), quad([2, 6, 10, 14]), quad([3, 7, 11, 15])];
            simd.store(simd.sums(quads), self.sixteen);
            for (index, sums) in self.fours.as_chunks_mut::<4>().0.iter_mut().enumerate() {
                *sums = simd.four_sums(quad(std::array::from_fn(|i| 4 * index + i)));
            }
        }
    }

    /// Returns the sums of 16 vectors by [`Vector16::sums`] and by [`Vector16::four_sums`].
    fn sums(level: SimdLevel, vectors: &[[f32; WIDTH]; WIDTH]) -> ([f32; WIDTH], [f32; WIDTH]) {
        let mut sixteen = [0.0; WIDTH];
        let mut fours = [0.0; WIDTH];
        level.run(SumsKernel { vectors, sixteen: &mut sixteen, fours: &mut fours });
        (sixteen, fours)
    }

    #[test]
    fn simd_sums_are_in_order_and_bit_equal_on_every_instruction_set() {
        // Small whole numbers: exact in any order.
        let x: [[f32; WIDTH]; WIDTH] = std::array::from_fn(|k| std::array::from_fn(|i| ((k * 31 + i * i) % 97) as f32));
        let exact: [f32; WIDTH] = x.map(|x| x.iter().sum());
        // Numbers whose sum depends on the order.
        let y = x.map(|x| x.map(|v| (v + 0.1).sqrt() / 3.0));
        let mut results = Vec::new();
        for level in SimdLevel::all() {
            assert_eq!(sums(level, &x), (exact, exact), "{level:?}");
            let (sixteen, fours) = sums(level, &y);
            assert_eq!(sixteen, fours, "{level:?}");
            results.push(sixteen.map(f32::to_bits));
        }
        assert!(results.iter().all(|bits| bits == &results[0]));
    }
}
