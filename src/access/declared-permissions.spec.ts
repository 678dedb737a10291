import { afterEach, describe, expect, it } from '@jest/globals';
import { Controller, Get, Head, Module, Post } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import { DeclaredPermissions } from './declared-permissions.js';
import { PERMISSIONS, Requires } from './permissions.js';

let app: NestFastifyApplication | undefined;
afterEach(() => app?.close());

async function boot(...controllers: (new () => object)[]): Promise<void> {
  const testing = await Test.createTestingModule({
    imports: [DiscoveryModule],
    controllers,
    providers: [DeclaredPermissions],
  }).compile();
  app = testing.createNestApplication<NestFastifyApplication>(new FastifyAdapter(), { logger: false });
  await app.init();
}

@Controller('closed')
class Closed {
  @Get()
  @Requires('passkeys:read')
  read(): string {
    return 'read';
  }

  @Post()
  @Requires('any')
  write(): string {
    return this.help();
  }

  /** This is not a route, so it needs no permission. */
  help(): string {
    return 'help';
  }
}

@Controller('open')
class Open {
  @Get()
  read(): string {
    return 'read';
  }
}

@Controller('half')
class Half {
  @Get()
  @Requires('passkeys:read')
  read(): string {
    return 'read';
  }

  @Head('other')
  other(): void {
    return undefined;
  }
}

@Controller('heir')
class Heir extends Open {
  @Post()
  @Requires('passkeys:manage')
  write(): string {
    return 'write';
  }
}

@Controller('class')
@Requires('passkeys:read')
class OnTheClass {
  @Get()
  read(): string {
    return 'read';
  }
}

describe('a route without @Requires stops the boot', () => {
  it('unless every route declares its permission', async () => {
    await expect(boot(Closed)).resolves.toBeUndefined();
  });

  it.each([
    ['a controller of its own', [Open], 'Open.read'],
    ['one beside others', [Closed, Open], 'Open.read'],
    ['one of several routes', [Half], 'Half.other'],
    ['an inherited route', [Heir], 'Heir.read'],
    ['a route whose class alone has a permission', [OnTheClass], 'OnTheClass.read'],
  ])('%s', async (_, controllers, route) => {
    await expect(boot(...controllers)).rejects.toThrow(`Routes without @Requires: ${route}`);
  });

  it('with an error that names all of them', async () => {
    await expect(boot(Open, Half)).rejects.toThrow('Routes without @Requires: Open.read, Half.other');
  });

  it('also in an imported module', async () => {
    @Module({ controllers: [Open] })
    class Imported {}
    const testing = Test.createTestingModule({
      imports: [DiscoveryModule, Imported],
      providers: [DeclaredPermissions],
    });
    const nest = (await testing.compile()).createNestApplication<NestFastifyApplication>(new FastifyAdapter(), {
      logger: false,
    });
    await expect(nest.init()).rejects.toThrow('Open.read');
  });
});

describe('the permissions', () => {
  it('are a closed list', () => {
    expect(new Set(PERMISSIONS).size).toBe(PERMISSIONS.length);
    for (const permission of PERMISSIONS) expect(permission).toMatch(/^[a-z-]+:[a-z]+$/);
  });
});
