import { Injectable, type OnModuleInit } from '@nestjs/common';
import { PATH_METADATA } from '@nestjs/common/constants.js';
import { DiscoveryService, MetadataScanner, Reflector } from '@nestjs/core';
import { Requires } from './permissions.js';

/** Stops the boot when a route declares no permission. */
@Injectable()
export class DeclaredPermissions implements OnModuleInit {
  constructor(
    private readonly discovery: DiscoveryService,
    private readonly scanner: MetadataScanner,
    private readonly reflector: Reflector,
  ) {}

  onModuleInit(): void {
    const open = this.discovery.getControllers().flatMap(({ metatype }) => {
      const prototype = (metatype as { prototype: Record<string, (...args: unknown[]) => unknown> }).prototype;
      return this.scanner
        .getAllMethodNames(prototype)
        .filter((name) => Reflect.hasMetadata(PATH_METADATA, prototype[name]!))
        .filter((name) => !this.hasPermission(prototype[name]!))
        .map((name) => `${(metatype as { name: string }).name}.${name}`);
    });
    if (open.length > 0) throw new Error(`Routes without @Requires: ${open.join(', ')}`);
  }

  private hasPermission(route: (...args: unknown[]) => unknown): boolean {
    return (this.reflector.get(Requires, route) as unknown) !== undefined;
  }
}
