import ts from 'typescript';
import type { Manifest } from './helm.ts';

/** The package that describes an API group. */
const packageOf = ({ apiVersion }: Manifest): string =>
  `${apiVersion.startsWith('monitoring.coreos.com/') ? '@kubernetes-models/prometheus-operator' : 'kubernetes-models'}/${apiVersion}`;

/**
 * Holds manifests against the schemas of Kubernetes and Prometheus Operator.
 *
 * @returns what is wrong: values by the schemas' validators, fields that the API does not know by their types
 */
export async function findMistakes(manifests: readonly Manifest[]): Promise<string[]> {
  const values = await Promise.all(manifests.map(findWrongValue));
  return [...values.filter((mistake) => mistake !== undefined), ...findUnknownFields(manifests)];
}

async function findWrongValue(manifest: Manifest): Promise<string | undefined> {
  const models = (await import(packageOf(manifest))) as Record<
    string,
    (new (data: Manifest) => { validate(): void }) | undefined
  >;
  const Model = models[manifest.kind];
  if (!Model) return `${manifest.apiVersion} has no ${manifest.kind}`;
  try {
    new Model(manifest).validate();
    return undefined;
  } catch (error) {
    return `${manifest.kind} ${manifest.metadata.name}: ${(error as Error).message}`;
  }
}

/** The validators ignore unknown fields, as the API server does unless it is asked. TypeScript does not. */
function findUnknownFields(manifests: readonly Manifest[]): string[] {
  const source = manifests
    .map((manifest, index) => {
      const type = `import('${packageOf(manifest)}').I${manifest.kind}`;
      return `export const manifest${String(index)}: ${type} = ${JSON.stringify(manifest)};`;
    })
    .join('\n');
  const path = `${import.meta.dirname}/manifests.mts`;
  const options: ts.CompilerOptions = {
    target: ts.ScriptTarget.ES2024,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    types: [],
    strict: true,
    noEmit: true,
    skipLibCheck: true,
  };
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists } = host;
  host.fileExists = (name) => name === path || fileExists(name);
  host.getSourceFile = (name, target) =>
    name === path ? ts.createSourceFile(name, source, target) : getSourceFile(name, target);
  const program = ts.createProgram([path], options, host);
  return ts.getPreEmitDiagnostics(program).map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, ' '));
}
