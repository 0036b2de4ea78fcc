/** Arithmetic of colours: contrast as WCAG 2 defines it, and what other kinds of colour vision see. */

type Triple = [number, number, number];
type Matrix = readonly (readonly [number, number, number])[];

export const VISIONS = ["common", "protanopic", "deuteranopic", "tritanopic"] as const;

/** Linear RGB to linear RGB, Machado, Oliveira and Fernandes 2009, doi:10.1109/TVCG.2009.113, full severity. */
const SEEN: Record<(typeof VISIONS)[number], Matrix> = {
  common: [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ],
  protanopic: [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
  ],
  deuteranopic: [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.01182, 0.04294, 0.968881],
  ],
  tritanopic: [
    [1.255528, -0.076749, -0.178779],
    [-0.078411, 0.930809, 0.147602],
    [0.004733, 0.691367, 0.3039],
  ],
};

/** Linear RGB to the cone responses of Oklab, and their cube roots to lightness and two axes of colour. */
const CONES: Matrix = [
  [0.4122214708, 0.5363325363, 0.0514459929],
  [0.2119034982, 0.6806995451, 0.1073969566],
  [0.0883024619, 0.2817188376, 0.6299787005],
];
const AXES: Matrix = [
  [0.2104542553, 0.793617785, -0.0040720468],
  [1.9779984951, -2.428592205, 0.4505937099],
  [0.0259040371, 0.7827717662, -0.808675766],
];

const times = (matrix: Matrix, vector: Triple): Triple =>
  matrix.map((row) => row[0] * vector[0] + row[1] * vector[1] + row[2] * vector[2]) as Triple;

/** Linear RGB of "#rrggbb", 0 to 1. */
function linear(colour: string): Triple {
  if (!/^#[0-9a-f]{6}$/i.test(colour)) throw new Error(`${colour} is not written as #rrggbb`);
  return [1, 3, 5].map((place) => {
    const part = Number.parseInt(colour.slice(place, place + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  }) as Triple;
}

const luminance = (colour: string): number => times([[0.2126, 0.7152, 0.0722]], linear(colour))[0];

/** Contrast ratio, 1 to 21. */
export function contrast(first: string, second: string): number {
  const [low = 0, high = 0] = [luminance(first), luminance(second)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}

/** What an eye sees of a colour, in Oklab. */
export function colourBlind(colour: string, vision: (typeof VISIONS)[number]): Triple {
  const seen = times(SEEN[vision], linear(colour)).map((part) => Math.min(1, Math.max(0, part))) as Triple;
  return times(AXES, times(CONES, seen).map(Math.cbrt) as Triple);
}

/** Distance in Oklab; 0.02 is about the least that is noticed side by side. */
export const difference = (first: Triple, second: Triple): number => Math.hypot(...first.map((part, place) => part - (second[place] ?? 0)));
