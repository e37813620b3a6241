import { OptionDefaults } from "typedoc";

export default {
  entryPoints: ["src/node.ts", "src/web.ts", "src/v1.ts"],
  out: "docs",
  name: "runwire",
  readme: "README.md",
  tsconfig: "tsconfig.build.json",
  excludePrivate: true,
  excludeInternal: true,
  blockTags: [...OptionDefaults.blockTags, "@generated"],
  excludeTags: ["@generated"],
  treatWarningsAsErrors: true,
  logLevel: "Warn",
};
