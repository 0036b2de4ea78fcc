import { defineConfig } from "vitest/config";

// Style sheets are read as they are: tests compute the contrast of the theme's colours.
export default defineConfig({ test: { css: true, include: ["tests/**/*.test.{ts,tsx}"] } });
