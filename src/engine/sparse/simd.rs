//! Vectors of 16 numbers on every kind of processor, and the choice between the kinds at run time.
//!
//! Every operation is one that IEEE 754 rounds in one way only, and the order of every sum is fixed here or in the
//! kernels, so all kinds give the same bits. `pulp` hands out a kind only where the processor has it, which is what keeps
//! this file free of unsafe code.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{__m256, __m512, __m512i};

#[cfg(target_arch = "x86_64")]
use pulp::x86::{V3, V4};
use pulp::{Scalar, Simd};

/// Numbers of one vector.
pub(super) const WIDTH: usize = 16;

/// Arithmetic on 16 numbers at a time.
pub(super) trait Wide: Copy {
    /// 16 numbers, in as many registers as they need.
    type V: Copy;
    /// Four vectors folded into one that has four partial sums of each.
    type Quad: Copy;
    /// Vectors of a running sum that fit into the registers twice, with room for what is multiplied.
    const HELD: usize;

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
    fn fold(self, of: [Self::V; 4]) -> Self::Quad;
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

/// For kinds whose `fold` goes to the end at once.
macro_rules! folded_at_once {
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

/// `fold` by plain additions.
macro_rules! plain_fold {
    () => {
        #[inline(always)]
        fn fold(self, of: [Self::V; 4]) -> [f32; 4] {
            of.map(|x| {
                let x: [f32; WIDTH] = pulp::cast(x);
                let eight: [f32; 8] = std::array::from_fn(|i| x[i] + x[i + 8]);
                let four: [f32; 4] = std::array::from_fn(|i| eight[i] + eight[i + 4]);
                (four[0] + four[2]) + (four[1] + four[3])
            })
        }
    };
}

impl Wide for Scalar {
    const HELD: usize = 1;
    arithmetic!(Scalar, 16);
    folded_at_once!();
    plain_fold!();
}

#[cfg(target_arch = "aarch64")]
impl Wide for pulp::aarch64::Neon {
    const HELD: usize = 2;
    arithmetic!(pulp::aarch64::Neon, 4);
    folded_at_once!();
    plain_fold!();
}

#[cfg(target_arch = "x86_64")]
impl Wide for V3 {
    const HELD: usize = 2;
    arithmetic!(V3, 2);
    folded_at_once!();

    #[inline(always)]
    fn fold(self, of: [Self::V; 4]) -> [f32; 4] {
        let avx = self.avx;
        let [a, b, c, d] = of.map(|x| {
            let [lower, upper]: [__m256; 2] = pulp::cast(x);
            avx._mm256_add_ps(lower, upper)
        });
        // Two vectors become one: each keeps one half in its place, and the other half is added to it.
        let halves = |a: __m256, b: __m256| {
            avx._mm256_add_ps(avx._mm256_blend_ps::<0xf0>(a, b), avx._mm256_permute2f128_ps::<0x21>(a, b))
        };
        let (ab, cd) = (halves(a, b), halves(c, d));
        let pairs = avx._mm256_shuffle_ps::<0b01_00_11_10>(ab, cd);
        let pairs = avx._mm256_add_ps(avx._mm256_blend_ps::<0xcc>(ab, cd), pairs);
        let sums = avx._mm256_add_ps(pairs, avx._mm256_movehdup_ps(pairs));
        let order: [u32; 8] = [0, 4, 2, 6, 0, 4, 2, 6];
        let sums: [f32; 8] = pulp::cast(self.avx2._mm256_permutevar8x32_ps(sums, pulp::cast(order)));
        [sums[0], sums[1], sums[2], sums[3]]
    }
}

#[cfg(target_arch = "x86_64")]
impl Wide for V4 {
    const HELD: usize = 4;
    arithmetic!(V4, 1);

    #[inline(always)]
    fn transpose(self, rows: &[[u64; 8]; 8]) -> [[u64; 8]; 8] {
        // Halves of 4, 2 and 1 columns change places with rows 4, 2 and 1 further on.
        let mut rows: [__m512i; 8] = pulp::cast(*rows);
        for distance in [4, 2, 1] {
            let stays = |column: u64| column & distance == 0;
            let upper: [u64; 8] =
                std::array::from_fn(|c| if stays(c as u64) { c as u64 } else { 8 + c as u64 - distance });
            let lower: [u64; 8] =
                std::array::from_fn(|c| if stays(c as u64) { c as u64 + distance } else { 8 + c as u64 });
            let (upper, lower): (__m512i, __m512i) = (pulp::cast(upper), pulp::cast(lower));
            let before = rows;
            rows = std::array::from_fn(|row| {
                let partner = row ^ distance as usize;
                if row < partner {
                    self.avx512f._mm512_permutex2var_epi64(before[row], upper, before[partner])
                } else {
                    self.avx512f._mm512_permutex2var_epi64(before[partner], lower, before[row])
                }
            });
        }
        pulp::cast(rows)
    }

    // Two vectors become one, again and again: of each, a half stays in its place (the blend), and the other half is added
    // to it (the shuffle). So 16 sums cost 15 additions, not 16 times four.
    type Quad = __m512;

    #[inline(always)]
    fn fold(self, of: [Self::V; 4]) -> __m512 {
        let avx = self.avx512f;
        let [x0, x1, x2, x3]: [__m512; 4] = pulp::cast(of);
        let halves = |a: __m512, b: __m512| {
            let other = avx._mm512_shuffle_f32x4::<0b01_00_11_10>(a, b);
            avx._mm512_add_ps(avx._mm512_mask_blend_ps(0xff00, a, b), other)
        };
        let (a, b) = (halves(x0, x2), halves(x1, x3));
        let quarters: [u32; 16] = [4, 5, 6, 7, 16, 17, 18, 19, 12, 13, 14, 15, 24, 25, 26, 27];
        let other = avx._mm512_permutex2var_ps(a, pulp::cast(quarters), b);
        avx._mm512_add_ps(avx._mm512_mask_blend_ps(0xf0f0, a, b), other)
    }

    #[inline(always)]
    fn sums(self, quads: [__m512; 4]) -> Self::V {
        let avx = self.avx512f;
        let pairs = |a: __m512, b: __m512| {
            let pairs: [u32; 16] = [2, 3, 16, 17, 6, 7, 20, 21, 10, 11, 24, 25, 14, 15, 28, 29];
            let other = avx._mm512_permutex2var_ps(a, pulp::cast(pairs), b);
            avx._mm512_add_ps(avx._mm512_mask_blend_ps(0xcccc, a, b), other)
        };
        let (a, b) = (pairs(quads[0], quads[2]), pairs(quads[1], quads[3]));
        let ones: [u32; 16] = [1, 16, 3, 18, 5, 20, 7, 22, 9, 24, 11, 26, 13, 28, 15, 30];
        let other = avx._mm512_permutex2var_ps(a, pulp::cast(ones), b);
        pulp::cast(avx._mm512_add_ps(avx._mm512_mask_blend_ps(0xaaaa, a, b), other))
    }

    #[inline(always)]
    fn four_sums(self, quad: __m512) -> [f32; 4] {
        let avx = self.avx512f;
        let pairs = avx._mm512_add_ps(quad, avx._mm512_permute_ps::<0b01_00_11_10>(quad));
        let sums = avx._mm512_add_ps(pairs, avx._mm512_permute_ps::<0b10_11_00_01>(pairs));
        let order: [u32; 16] = [0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12];
        let sums: [f32; WIDTH] = pulp::cast(avx._mm512_permutexvar_ps(pulp::cast(order), sums));
        [sums[0], sums[1], sums[2], sums[3]]
    }
}

/// A kind of processor.
#[derive(Clone, Copy, Debug)]
pub(super) enum Path {
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
pub(super) trait Kernel {
    /// Does it; must be inlined, as all it calls.
    fn run<S: Wide>(self, simd: S);
}

struct Bound<K, S>(K, S);

impl<K: Kernel, S: Wide> pulp::NullaryFnOnce for Bound<K, S> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        self.0.run(self.1);
    }
}

impl Path {
    /// What the processor at hand can do, the fastest first.
    pub(super) fn all() -> Vec<Self> {
        let mut all = Vec::new();
        #[cfg(target_arch = "x86_64")]
        all.extend(V4::try_new().map(Self::Avx512).into_iter().chain(V3::try_new().map(Self::Avx2)));
        #[cfg(target_arch = "aarch64")]
        all.extend(pulp::aarch64::Neon::try_new().map(Self::Neon));
        all.push(Self::Scalar);
        all
    }

    /// The fastest.
    pub(super) fn best() -> Self {
        Self::all().into_iter().next().unwrap_or(Self::Scalar)
    }

    /// Does `kernel` on this kind of processor.
    #[inline]
    pub(super) fn run(self, kernel: impl Kernel) {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(simd) => simd.vectorize(Bound(kernel, simd)),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(simd) => simd.vectorize(Bound(kernel, simd)),
            #[cfg(target_arch = "aarch64")]
            Self::Neon(simd) => simd.vectorize(Bound(kernel, simd)),
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
        fn run<S: Wide>(self, simd: S) {
            let x = self.0;
            let quad = |[a, b, c, d]: [usize; 4]| {
                simd.fold([simd.load(&x[a]), simd.load(&x[b]), simd.load(&x[c]), simd.load(&x[d])])
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
        for path in Path::all() {
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
